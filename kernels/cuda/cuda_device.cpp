// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cuda_device.hpp"

#include <algorithm>

#include "kernels/cuda/check.cuh"
#include "kernels/cuda/device_buffer.hpp"

namespace troupe {

std::size_t count_cuda_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return static_cast<std::size_t>(count);
}

void make_device_current(std::size_t index) { check(cudaSetDevice(static_cast<int>(index)), "cuda device"); }

cuda_device::cuda_device(std::size_t index) : index_(static_cast<int>(index)) {
  const auto count = count_cuda_devices();
  if (index >= count)
    throw cuda_error("cuda:" + std::to_string(index) + ": there is no such device; this machine has " +
                     std::to_string(count));
  make_current();
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index_), "cuda device: properties");
  name_ = properties.name;
  multiprocessors_ = static_cast<std::size_t>(properties.multiProcessorCount);
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cuda device: stream");
}

cuda_device::~cuda_device() {
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

void cuda_device::make_current() const { check(cudaSetDevice(index_), "cuda device"); }

std::size_t cuda_device::free_bytes() const {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cuda device: free memory");
  return free;
}

void copy_to_device(void* to, const void* from, std::size_t bytes, cuda_stream stream) {
  if (bytes != 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "copy to the device");
}

void copy_to_host(void* to, const void* from, std::size_t bytes, cuda_stream stream) {
  if (bytes != 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "copy to the host");
}

void clear_device(void* data, std::size_t bytes, cuda_stream stream) {
  if (bytes != 0) check(cudaMemsetAsync(data, 0, bytes, stream), "clearing device memory");
}

void synchronize(cuda_stream stream) { check(cudaStreamSynchronize(stream), "waiting for the device"); }

cuda_event::cuda_event() { check(cudaEventCreate(&event_), "cuda event"); }

cuda_event::~cuda_event() { cudaEventDestroy(event_); }

void cuda_event::record(cuda_stream stream) { check(cudaEventRecord(event_, stream), "cuda event"); }

bool cuda_event::done() const {
  const auto status = cudaEventQuery(event_);
  if (status == cudaErrorNotReady) return false;
  check(status, "a step on the device");
  return true;
}

void cuda_event::synchronize() const { check(cudaEventSynchronize(event_), "waiting for the device"); }

double cuda_event::milliseconds_since(const cuda_event& earlier) const {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, earlier.event_, event_), "cuda event");
  return milliseconds;
}

cuda_graph::~cuda_graph() {
  if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
}

void cuda_graph::begin_capture(cuda_stream stream) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cuda graph: capture");
}

void cuda_graph::drop_capture(cuda_stream stream) {
  cudaGraph_t captured = nullptr;
  cudaStreamEndCapture(stream, &captured);
  if (captured != nullptr) cudaGraphDestroy(captured);
  cudaGetLastError();
}

cuda_graph cuda_graph::end_capture(cuda_stream stream) {
  cudaGraph_t captured = nullptr;
  check(cudaStreamEndCapture(stream, &captured), "cuda graph: capture");
  cuda_graph result;
  const auto status = cudaGraphInstantiate(&result.graph_, captured, 0);
  cudaGraphDestroy(captured);
  check(status, "cuda graph: instantiate");
  check(cudaGraphUpload(result.graph_, stream), "cuda graph: upload");
  return result;
}

void cuda_graph::launch(cuda_stream stream) const { check(cudaGraphLaunch(graph_, stream), "cuda graph: launch"); }

double measure_copy_bandwidth(const cuda_device& device) {
  constexpr std::size_t bytes = std::size_t{1} << 30;
  constexpr int repetitions = 12;
  const device_buffer from(bytes), to(bytes);
  clear_device(from.data(), bytes, device.stream());
  double best = 0;
  for (int i = 0; i < repetitions; ++i) {
    cuda_event begin, end;
    begin.record(device.stream());
    check(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, device.stream()), "copying");
    end.record(device.stream());
    end.synchronize();
    best = std::max(best, 2.0 * bytes / (end.milliseconds_since(begin) * 1e-3));
  }
  return best;
}

}  // namespace troupe
