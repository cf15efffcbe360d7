# tagmask-viewer: GLFW, Vulkan and Dear ImGui. TAGMASK_VIEWER: AUTO builds it when they are there.
set(TAGMASK_VIEWER AUTO CACHE STRING "build tagmask-viewer: ON, OFF, or AUTO (when GLFW, Dear ImGui and Vulkan are found)")
set_property(CACHE TAGMASK_VIEWER PROPERTY STRINGS AUTO ON OFF)
if(TAGMASK_VIEWER STREQUAL "AUTO" AND (WIN32 OR CMAKE_CROSSCOMPILING))
    return()
endif()
if(NOT TAGMASK_VIEWER)
    return()
endif()

include(CheckLanguage)
check_language(CXX)
pkg_check_modules(VIEWER IMPORTED_TARGET glfw3 imgui vulkan)
if(NOT (VIEWER_FOUND AND CMAKE_CXX_COMPILER))
    if(TAGMASK_VIEWER STREQUAL "AUTO")
        message(STATUS "tagmask-viewer is left out: it needs a C++ compiler, glfw3, imgui and vulkan")
        return()
    endif()
    message(FATAL_ERROR "TAGMASK_VIEWER needs a C++ compiler and the packages glfw3, imgui and vulkan: install libglfw3-dev, "
                        "libimgui-dev, libvulkan-dev and g++, or set it to OFF")
endif()
enable_language(CXX)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_EXTENSIONS OFF)

set(VIEWER_DIR ${CMAKE_SOURCE_DIR}/samples/viewer)
set(VIEWER_GENERATED ${CMAKE_BINARY_DIR}/viewer)
file(MAKE_DIRECTORY ${VIEWER_GENERATED})
foreach(stage vert frag)
    add_custom_command(OUTPUT ${VIEWER_GENERATED}/quad.${stage}.inc
                       COMMAND ${GLSLC} -O --target-env=vulkan1.1 -mfmt=c ${VIEWER_DIR}/quad.${stage}
                               -o ${VIEWER_GENERATED}/quad.${stage}.inc
                       DEPENDS ${VIEWER_DIR}/quad.${stage} VERBATIM)
endforeach()
file(GLOB VIEWER_SOURCES CONFIGURE_DEPENDS ${VIEWER_DIR}/*.c ${VIEWER_DIR}/*.cpp)
# Dear ImGui's back end calls libvulkan, so volk must not be in this program: it uses the shared library, not the archive.
add_executable(tagmask-viewer ${VIEWER_SOURCES} ${VIEWER_GENERATED}/quad.vert.inc ${VIEWER_GENERATED}/quad.frag.inc)
target_include_directories(tagmask-viewer PRIVATE ${VIEWER_GENERATED})
target_link_libraries(tagmask-viewer PRIVATE tagmask PkgConfig::VIEWER PkgConfig::SPNG Threads::Threads m)
set_target_properties(tagmask-viewer PROPERTIES BUILD_RPATH_USE_ORIGIN ON INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
install(TARGETS tagmask-viewer)
