# The kernels' files, in kernel_sources: each by itself or, with CMAKE_UNITY_BUILD (which CMake has for C++ alone), in four
# that include them, so that what they share is read once. noise.cu stays by itself: it has options of its own.

file(GLOB kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cu)
if(CMAKE_UNITY_BUILD)
  list(FILTER kernel_sources EXCLUDE REGEX "/noise.cu$")
  set(part 0)
  foreach(source IN LISTS kernel_sources)
    string(APPEND content_${part} "#include \"${source}\"\n")
    math(EXPR part "(${part} + 1) % 4")
  endforeach()
  set(kernel_sources ${CMAKE_CURRENT_LIST_DIR}/noise.cu)
  foreach(part RANGE 3)
    set(file ${PROJECT_BINARY_DIR}/kernels/unity_${part}.cu)
    file(CONFIGURE OUTPUT ${file} CONTENT "${content_${part}}")
    list(APPEND kernel_sources ${file})
    unset(content_${part})
  endforeach()
endif()
