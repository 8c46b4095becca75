basalt_library(host_block SOURCES block_text.cc real_block.cc DEPS api_messages basalt::absl)
