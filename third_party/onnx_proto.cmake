# onnx.proto (pinned, fetched by third_party/fetch.py) -> onnx.pb-c.[ch] -> static library onnx_proto.
find_program(PROTOC_C protoc-c REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(ONNX_PROTO_DIR ${CMAKE_BINARY_DIR}/third_party)
if(NOT EXISTS ${ONNX_PROTO_DIR}/onnx.proto)
    execute_process(COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/third_party/fetch.py onnx-proto
                            --out ${ONNX_PROTO_DIR} COMMAND_ERROR_IS_FATAL ANY)
endif()
add_custom_command(
    OUTPUT ${ONNX_PROTO_DIR}/onnx.pb-c.c ${ONNX_PROTO_DIR}/onnx.pb-c.h
    COMMAND ${PROTOC_C} --c_out=${ONNX_PROTO_DIR} --proto_path=${ONNX_PROTO_DIR} onnx.proto
    DEPENDS ${ONNX_PROTO_DIR}/onnx.proto COMMENT "protoc-c onnx.proto" VERBATIM)
add_library(onnx_proto STATIC ${ONNX_PROTO_DIR}/onnx.pb-c.c)
target_include_directories(onnx_proto SYSTEM PUBLIC ${ONNX_PROTO_DIR})
target_compile_options(onnx_proto PRIVATE -w)
target_link_libraries(onnx_proto PUBLIC PkgConfig::PROTOBUF_C)
