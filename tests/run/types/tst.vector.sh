# Parameters and results in vector registers, alone and as parts of structures.
$dyntrace -q -n '
pid$target:a.out:blend:entry
{
	printf("%.2f %.2f %.1f %.1f %.1f %.1f %d\n", args[0], args[1], args[2].x, args[2].y, args[2].z, args[3].d, args[3].l);
}
pid$target:a.out:blend:return { printf("%.2f %d\n", args[1].d, args[1].l); }
pid$target:a.out:half:entry { trace(args[0]); printf(" %x\n", uregs[R_XMM0]); @[args[0]] = count(); }
pid$target:a.out:half:return /args[0] > 0/ { printf(" %.1f\n", args[1]); }
pid$target:a.out:exact:entry { printf("%d\n", sizeof(args[0])); }
' -c $triggers/shapes
