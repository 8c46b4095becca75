basalt_fuzz(trust_fuzz SOURCES trust_fuzz.cc DEPS sign validate diff schema
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/trust)
basalt_fuzz(x509_fuzz SOURCES x509_fuzz.cc DEPS rpc sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/x509)
basalt_fuzz(state_fuzz SOURCES state_fuzz.cc DEPS engine_state trust fake_vfs
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/state)
basalt_fuzz(k3s_fuzz SOURCES k3s_fuzz.cc DEPS k3s fetch_protocol CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/k3s)
basalt_fuzz(system_fuzz SOURCES system_fuzz.cc DEPS controller_system CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/system)
basalt_fuzz(client_fuzz SOURCES client_fuzz.cc DEPS client_context merge
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/client)
basalt_fuzz(secret_edit_fuzz SOURCES secret_edit_fuzz.cc DEPS client_documents
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/secret_edit)
basalt_fuzz(cluster_secrets_fuzz SOURCES cluster_secrets_fuzz.cc DEPS client_documents
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/cluster_secrets)
basalt_fuzz(patch_fuzz SOURCES patch_fuzz.cc DEPS merge CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/patch)
basalt_fuzz(schema_fuzz SOURCES schema_fuzz.cc DEPS docs schema yaml
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/schema)
basalt_fuzz(image_fuzz SOURCES image_fuzz.cc DEPS image_recipe image_formats image_boot basalt::absl
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/image)
basalt_fuzz(network_fuzz SOURCES network_fuzz.cc DEPS network_spec host_network CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/network)
basalt_fuzz(disk_fuzz SOURCES disk_fuzz.cc DEPS controller_storage host_block CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/disk)
basalt_fuzz(first_fuzz SOURCES first_fuzz.cc DEPS first_parts medium CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/first)
basalt_fuzz(mdns_fuzz SOURCES mdns_fuzz.cc DEPS api_mdns CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/mdns)
