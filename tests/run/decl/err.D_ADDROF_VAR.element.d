int a[int]; BEGIN { a[1] = 1; p = &a[1]; }
