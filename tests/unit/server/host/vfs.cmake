basalt_test(host_vfs_test SOURCES vfs_conformance_test.cc fake_vfs_test.cc DEPS host_vfs fake_vfs)
