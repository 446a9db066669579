# The CUDA device's files: its kernels and operations in kernel_sources, the classes instantiated for it in instance_sources.
# Each kernel is compiled by itself or, with CMAKE_UNITY_BUILD (which CMake has for C++ alone), in four
# that include them, so that what they share is read once. noise.cu stays by itself: it has options of its own.

file(GLOB kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cu ${CMAKE_CURRENT_LIST_DIR}/*.cpp)
file(GLOB instance_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/instances/*.cpp)
if(CMAKE_UNITY_BUILD)
  set(host_sources ${kernel_sources})
  list(FILTER host_sources INCLUDE REGEX "[.]cpp$")
  list(FILTER kernel_sources EXCLUDE REGEX "/noise.cu$|[.]cpp$")
  set(part 0)
  foreach(source IN LISTS kernel_sources)
    string(APPEND content_${part} "#include \"${source}\"\n")
    math(EXPR part "(${part} + 1) % 4")
  endforeach()
  set(kernel_sources ${CMAKE_CURRENT_LIST_DIR}/noise.cu ${host_sources})
  foreach(part RANGE 3)
    set(file ${PROJECT_BINARY_DIR}/kernels/unity_${part}.cu)
    file(CONFIGURE OUTPUT ${file} CONTENT "${content_${part}}")
    list(APPEND kernel_sources ${file})
    unset(content_${part})
  endforeach()
endif()
