BEGIN { trace(curcpu); d_path(1); pcap(1, 2); print(1); }
