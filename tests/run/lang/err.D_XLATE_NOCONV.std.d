/* What only the kernel knows. */
BEGIN { trace(curpsinfo->pr_rssize); }
