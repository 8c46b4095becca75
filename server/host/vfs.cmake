basalt_library(host_vfs SOURCES vfs.cc posix_disk.cc DEPS api_messages basalt::absl)
