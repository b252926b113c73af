"""The parts of bench/run, standard library only.

stats       medians, paired ratios, bootstrap intervals: pure functions, checked by --self-test
machine     what this machine is, its limits, missing packages
processes   child processes that can never outlive the run
subjects    what is measured: direct, weir, HAProxy, nginx, socat, the naive relay
postgres    a private PostgreSQL cluster
place       temporary folder, CPUs, priority
load        driving weir-load
syscalls    counting system calls between two gates
slices      A B B A blocks, which slices count, when a cell is void
rows, rows_special   one class per row of the table
report      claims, Markdown, JSON
progress    what is going on, on stderr
"""
