no_such_provider:::x
{
}
