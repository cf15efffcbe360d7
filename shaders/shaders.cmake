# shaders/A/B.comp -> glslc -> one C table {name "A/B", words, size}; see host/gpu/shader_table.h.
# Common GLSL is in shaders/**/*.glsl and is found by #include with a path below shaders/.
find_program(GLSLC glslc REQUIRED)
file(GLOB_RECURSE TAGMASK_SHADERS CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/shaders shaders/*.comp)
set(TAGMASK_SPV_DIR ${CMAKE_BINARY_DIR}/shaders)
set(TAGMASK_SPV_FILES)
# These are compiled a second time, as NAME_half, with HALVES defined: their weights are 16-bit floats.
set(with_halves ${TAGMASK_SHADERS})
list(FILTER with_halves INCLUDE REGEX "^nn/(conv_(gemm|tile|depthwise)|matmul_vec4)")
list(TRANSFORM with_halves REPLACE "\\.comp$" "_half.comp")
list(APPEND TAGMASK_SHADERS ${with_halves})
foreach(shader ${TAGMASK_SHADERS})
    string(REGEX REPLACE "\\.comp$" "" name ${shader})
    string(REGEX REPLACE "_half.comp$" ".comp" source ${shader})
    set(defines)
    if(NOT source STREQUAL shader)
        set(defines -DHALVES)
    endif()
    get_filename_component(folder ${TAGMASK_SPV_DIR}/${name} DIRECTORY)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(
        OUTPUT ${TAGMASK_SPV_DIR}/${name}.spv
        COMMAND ${GLSLC} --target-env=vulkan1.1 -O -Werror ${defines} -I ${CMAKE_SOURCE_DIR}/shaders -MD
                -MF ${TAGMASK_SPV_DIR}/${name}.d -o ${TAGMASK_SPV_DIR}/${name}.spv ${CMAKE_SOURCE_DIR}/shaders/${source}
        DEPENDS ${CMAKE_SOURCE_DIR}/shaders/${source}
        DEPFILE ${TAGMASK_SPV_DIR}/${name}.d
        COMMENT "glslc ${shader}" VERBATIM)
    list(APPEND TAGMASK_SPV_FILES ${TAGMASK_SPV_DIR}/${name}.spv)
endforeach()
list(JOIN TAGMASK_SHADERS "\n" shader_list)
file(CONFIGURE OUTPUT ${TAGMASK_SPV_DIR}/list.txt CONTENT "${shader_list}")
add_custom_command(
    OUTPUT ${CMAKE_BINARY_DIR}/shader_table.c
    COMMAND ${CMAKE_COMMAND} -DLIST=${TAGMASK_SPV_DIR}/list.txt -DDIR=${TAGMASK_SPV_DIR}
            -DOUT=${CMAKE_BINARY_DIR}/shader_table.c -P ${CMAKE_SOURCE_DIR}/shaders/embed.cmake
    DEPENDS ${TAGMASK_SPV_FILES} ${TAGMASK_SPV_DIR}/list.txt shaders/embed.cmake
    COMMENT "embedding SPIR-V" VERBATIM)
add_library(tagmask_shaders STATIC ${CMAKE_BINARY_DIR}/shader_table.c)
target_include_directories(tagmask_shaders PRIVATE host plugin/include)
