# What d3ad::cuda needs beside d3ad::d3ad, found by the project itself and by find_package(d3ad COMPONENTS cuda): the CUDA
# toolkit (runtime, cuBLASLt) and cuDNN 9, as d3ad::cuda_libraries. What is missing is left in d3ad_CUDA_MISSING.

set(d3ad_CUDA_MISSING "")
find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_FOUND OR NOT TARGET CUDA::cublasLt)
  list(APPEND d3ad_CUDA_MISSING "the CUDA toolkit with cuBLAS (NVIDIA's package cuda-toolkit; -DCUDAToolkit_ROOT=...)")
endif()
find_path(D3AD_CUDNN_INCLUDE cudnn_graph.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_library(D3AD_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT}/lib)
if(NOT D3AD_CUDNN_INCLUDE OR NOT D3AD_CUDNN_LIBRARY)
  list(APPEND d3ad_CUDA_MISSING "cuDNN 9 (NVIDIA's package libcudnn9-dev-cuda-13; -DD3AD_CUDNN_INCLUDE=..., -DD3AD_CUDNN_LIBRARY=...)")
endif()
if(NOT d3ad_CUDA_MISSING AND NOT TARGET d3ad::cuda_libraries)
  add_library(d3ad::cuda_libraries INTERFACE IMPORTED GLOBAL)
  target_include_directories(d3ad::cuda_libraries INTERFACE ${D3AD_CUDNN_INCLUDE})
  target_link_libraries(d3ad::cuda_libraries INTERFACE CUDA::cudart CUDA::cublasLt ${D3AD_CUDNN_LIBRARY})
endif()
