// NVIDIA's driver, as far as cuDNN asks for it while it makes plans: it loads the kernels that it has compiled, and
// here every load succeeds. Linked as libcuda.so.1, which is then the one that cuDNN finds, with and without a GPU.

#define SUCCEEDS(name) \
  extern "C" int name(...) { return 0; }
SUCCEEDS(cuCtxGetCurrent)
SUCCEEDS(cuCtxGetLimit)
SUCCEEDS(cuCtxPopCurrent)
SUCCEEDS(cuCtxPushCurrent)
SUCCEEDS(cuGetErrorName)
SUCCEEDS(cuGetErrorString)
SUCCEEDS(cuKernelSetAttribute)
SUCCEEDS(cuLaunchCooperativeKernel)
SUCCEEDS(cuLaunchKernel)
SUCCEEDS(cuLaunchKernelEx)
SUCCEEDS(cuLibraryUnload)
SUCCEEDS(cuLinkAddData)
SUCCEEDS(cuLinkComplete)
SUCCEEDS(cuLinkCreate)
SUCCEEDS(cuLinkDestroy)
SUCCEEDS(cuStreamGetCtx)

// Those whose answer, the first parameter, is looked at.
#define ANSWERS(name, type, value)         \
  extern "C" int name(type* answer, ...) { \
    *answer = value;                       \
    return 0;                              \
  }
static char something;
ANSWERS(cuDeviceGet, int, 0)
ANSWERS(cuDeviceGetCount, int, 0)
ANSWERS(cuDriverGetVersion, int, 13000)
ANSWERS(cuKernelGetAttribute, int, 0)
ANSWERS(cuKernelGetFunction, void*, &something)
ANSWERS(cuLibraryGetKernel, void*, &something)
ANSWERS(cuLibraryLoadData, void*, &something)
ANSWERS(cuLibraryLoadFromFile, void*, &something)
ANSWERS(cuOccupancyMaxPotentialClusterSize, int, 8)
