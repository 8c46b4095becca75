basalt_test(host_network_test SOURCES network_conformance_test.cc route_messages_test.cc
  DEPS host_network fake_network network_namespace format)
