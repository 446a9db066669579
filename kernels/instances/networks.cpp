// The networks, instantiated for the CUDA device with each type of activations.

#include "d3ad/autograd/tape.hpp"
#include "d3ad/backend/ops.hpp"
#include "d3ad/model/model_folder-inl.hpp"
#include "d3ad/model/networks-inl.hpp"
#include "d3ad/networks-inl.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad {

template <class Run>
using Out = fn::ValueOf<Run>;

#define INSTANTIATE_ON(T, Run)                                                                              \
  template Out<Run> UNet<CudaOf<T>>::operator()(Run&, Out<Run>, View<const std::int32_t, CudaOf<T>>) const; \
  template Out<Run> Vae<CudaOf<T>>::encode(Run&, Out<Run>) const;                                           \
  template Out<Run> Vae<CudaOf<T>>::decode(Run&, Out<Run>) const;                                           \
  template Out<Run> TinyVae<CudaOf<T>>::encode(Run&, Out<Run>) const;                                       \
  template Out<Run> TinyVae<CudaOf<T>>::decode(Run&, Out<Run>) const;                                       \
  template Out<Run> Autoencoder<CudaOf<T>>::encode(Run&, Out<Run>, Out<Run>) const;                         \
  template Out<Run> Autoencoder<CudaOf<T>>::decode(Run&, Out<Run>) const;                                   \
  template ResNet<CudaOf<T>>::Features<Run> ResNet<CudaOf<T>>::features(Run&, Out<Run>, bool) const;        \
  template Out<Run> ResNet<CudaOf<T>>::classify(Run&, Out<Run>, bool) const;
#define INSTANTIATE(T)                                                                                    \
  template class UNet<CudaOf<T>>;                                                                         \
  template class Vae<CudaOf<T>>;                                                                          \
  template class TinyVae<CudaOf<T>>;                                                                      \
  template class Autoencoder<CudaOf<T>>;                                                                  \
  template class ResNet<CudaOf<T>>;                                                                       \
  INSTANTIATE_ON(T, Context<CudaOf<T>>)                                                                   \
  INSTANTIATE_ON(T, Tape<CudaOf<T>>)                                                                      \
  template Loaded<Autoencoder<CudaOf<T>>, CudaOf<T>> load_autoencoder(const std::filesystem::path&);      \
  template Loaded<ResNet<CudaOf<T>>, CudaOf<T>> load_extractor(const std::filesystem::path&);             \
  template Loaded<UNet<CudaOf<T>>, CudaOf<T>> load_unet(const std::filesystem::path&, const UNetConfig&); \
  template Loaded<Autoencoder<CudaOf<T>>, CudaOf<T>> ModelFolder::load_vae(const ModelConfig&) const;

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE
#undef INSTANTIATE_ON

}  // namespace d3ad
