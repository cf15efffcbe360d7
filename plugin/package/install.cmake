# cmake --install: headers, library, command, pkg-config file, CMake package, and the model packs that were made.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
target_include_directories(tagmask INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(tagmask_cli PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
install(TARGETS tagmask EXPORT tagmask-targets)
install(TARGETS tagmask_cli)
install(DIRECTORY plugin/include/tagmask DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT tagmask-targets NAMESPACE tagmask:: FILE tagmask-config.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tagmask)
write_basic_package_version_file(tagmask-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tagmask-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tagmask)
configure_file(plugin/package/tagmask.pc.in tagmask.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tagmask.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(REAL_PATH models models BASE_DIRECTORY ${CMAKE_BINARY_DIR})  # a link is installed as what it leads to
install(DIRECTORY ${models}/ DESTINATION ${CMAKE_INSTALL_DATADIR}/tagmask/models OPTIONAL)
