# basalt_proto(TARGET name [GRPC] PROTOS basalt/v1/a.proto ... DEPS t)
# One protoc run per file, relative to api/; generated code lands below ${build}/gen and is included
# as "basalt/v1/a.pb.h". Warnings of generated code are not ours.
function(basalt_proto)
  cmake_parse_arguments(A "GRPC" "TARGET" "PROTOS;DEPS" ${ARGN})
  set(root ${PROJECT_SOURCE_DIR}/api)
  set(gen ${PROJECT_BINARY_DIR}/gen)
  file(MAKE_DIRECTORY ${gen})
  set(out "")
  foreach(proto ${A_PROTOS})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(files ${gen}/${stem}.pb.cc ${gen}/${stem}.pb.h)
    set(args --cpp_out=${gen})
    if(A_GRPC)
      # First: ninja wants the output that the depfile names first.
      list(PREPEND files ${gen}/${stem}.grpc.pb.cc ${gen}/${stem}.grpc.pb.h)
      list(APPEND args --grpc_out=generate_mock_code=false:${gen} --plugin=protoc-gen-grpc=${BASALT_GRPC_PLUGIN})
    endif()
    add_custom_command(OUTPUT ${files}
      COMMAND ${BASALT_PROTOC} -I ${root} -I ${Protobuf_INCLUDE_DIRS} ${args} --dependency_out=${gen}/${stem}.d ${root}/${proto}
      DEPENDS ${root}/${proto} DEPFILE ${gen}/${stem}.d
      COMMENT "protoc ${proto}" VERBATIM)
    foreach(f ${files})
      if(f MATCHES "\\.cc$")
        list(APPEND out ${f})
      endif()
    endforeach()
  endforeach()
  add_library(${A_TARGET} STATIC ${out})
  target_include_directories(${A_TARGET} SYSTEM PUBLIC ${gen})
  target_compile_features(${A_TARGET} PUBLIC cxx_std_20)
  target_link_libraries(${A_TARGET} PUBLIC ${A_DEPS})
  set_target_properties(${A_TARGET} PROPERTIES CXX_CLANG_TIDY "")
endfunction()
