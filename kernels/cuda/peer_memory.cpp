// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/peer_memory.hpp"

#include <cstring>

#include "kernels/cuda/check.cuh"

namespace troupe {

namespace {

static_assert(sizeof(cudaIpcMemHandle_t) == sizeof(shared_memory_card::handle));

/// Between devices of one process.
bool enable_access(int other) {
  int device = 0, possible = 0;
  check(cudaGetDevice(&device), "peer memory: device");
  if (device == other) return true;
  if (cudaDeviceCanAccessPeer(&possible, device, other) != cudaSuccess || possible == 0) {
    cudaGetLastError();
    return false;
  }
  const auto status = cudaDeviceEnablePeerAccess(other, 0);
  cudaGetLastError();  // that it was enabled before is no failure
  return status == cudaSuccess || status == cudaErrorPeerAccessAlreadyEnabled;
}

}  // namespace

shared_memory_card share_memory(const device_buffer& memory) {
  shared_memory_card card;
  cudaIpcMemHandle_t handle{};
  check(cudaGetDevice(&card.device), "shared memory: device");
  card.address = reinterpret_cast<std::uint64_t>(memory.data());
  if (cudaIpcGetMemHandle(&handle, memory.data()) == cudaSuccess) {
    std::memcpy(card.handle.data(), &handle, sizeof handle);
    card.usable = 1;
  } else {
    cudaGetLastError();
  }
  return card;
}

peer_memory::peer_memory(const shared_memory_card& card, bool same_process) {
  if (same_process) {
    if (enable_access(card.device)) data_ = reinterpret_cast<std::byte*>(card.address);
    return;
  }
  if (card.usable == 0) return;
  cudaIpcMemHandle_t handle{};
  std::memcpy(&handle, card.handle.data(), sizeof handle);
  void* opened = nullptr;
  if (cudaIpcOpenMemHandle(&opened, handle, cudaIpcMemLazyEnablePeerAccess) != cudaSuccess) {
    cudaGetLastError();
    return;
  }
  data_ = static_cast<std::byte*>(opened);
  mapped_ = true;
}

peer_memory::~peer_memory() {
  if (mapped_) cudaIpcCloseMemHandle(data_);
}

}  // namespace troupe
