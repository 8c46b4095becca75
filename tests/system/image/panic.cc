// Stands in for noded-init in an image that is broken on purpose: PID 1 ends, the kernel panics.
int main() { return 1; }
