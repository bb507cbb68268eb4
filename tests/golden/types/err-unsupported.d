BEGIN { trace(curcpu); ddi_pathname(1); pcap(1, 2); print(1); }
