# Virtual machines on amd64: KVM, QEMU, Hyper-V, Xen and the clouds. UEFI only.
architecture amd64
kernel linux-image-cloud-amd64        # drivers of virtual machines only: half the size of the full kernel
stub systemd-boot-efi                 # the EFI stub of the kernel image, and the boot loader
include root.list
include modules/boot.list
include modules/vm.list
include modules/k3s.list
module aesni_intel                    # encrypted disks at the speed of the processor
include arguments-amd64.list
argument no_timer_check               # virtual timers work; the check panics when the emulator has to wait for a core
link /lib64 usr/lib64                 # where programs of amd64 look for their loader

partition ESP 512                     # boot loader and two or three kernel images
partition SLOT-A 1024                 # a root file system with its hash tree
partition SLOT-B 1024                 # the other one
partition STATE 256                   # keys, trust, machine config
partition DATA 1024                   # K3s, images, pods; grown to the end of the disk at the first boot
budget 39000000                       # a download and two slots must stay small on small disks; 38 is what it is to be again
