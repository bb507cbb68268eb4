#pragma D option scratchsize=16
BEGIN { trace(alloca(16)); trace(copyin($pid, 17)); }
