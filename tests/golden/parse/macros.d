/* args: 42 name some-text -7 */
pid$1::$2:entry
/arg0 == $1 && x == $4/
{
	$2 = $1;
	trace($$3);
	trace($$1);
	trace($target + $uid + $ppid);
	trace($$target);
}
