// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "kernels/cuda/stream.hpp"

struct CUevent_st;
struct CUgraphExec_st;

namespace troupe {

/// CUDA devices that this process can use; 0 where there is no driver.
std::size_t count_cuda_devices();

/// For the calling thread; for libraries that work on whatever device is current.
void make_device_current(std::size_t index);

/// One device and the stream that a rank computes on. The runtime API's current device belongs to a thread, so each
/// thread that uses the device calls make_current first.
class cuda_device {
 public:
  /// Throws cuda_error naming the device and how many there are.
  explicit cuda_device(std::size_t index);
  cuda_device(const cuda_device&) = delete;
  cuda_device& operator=(const cuda_device&) = delete;
  ~cuda_device();

  void make_current() const;
  cuda_stream stream() const { return stream_; }
  const std::string& name() const { return name_; }
  std::size_t multiprocessors() const { return multiprocessors_; }
  std::size_t free_bytes() const;

 private:
  int index_ = 0;
  std::size_t multiprocessors_ = 0;
  std::string name_;
  cuda_stream stream_ = nullptr;
};

// In the background on the stream where the host's side is a pinned_buffer.
void copy_to_device(void* to, const void* from, std::size_t bytes, cuda_stream stream);
void copy_to_host(void* to, const void* from, std::size_t bytes, cuda_stream stream);
void clear_device(void* data, std::size_t bytes, cuda_stream stream);
void synchronize(cuda_stream stream);

/// A point on a stream, for waiting without blocking.
class cuda_event {
 public:
  cuda_event();
  cuda_event(const cuda_event&) = delete;
  cuda_event& operator=(const cuda_event&) = delete;
  ~cuda_event();

  void record(cuda_stream stream);
  /// Whether what was enqueued before the last record is done; throws cuda_error where it failed.
  bool done() const;
  void synchronize() const;
  /// Between the last records of two events that are done.
  double milliseconds_since(const cuda_event& earlier) const;

 private:
  CUevent_st* event_ = nullptr;
};

/// Work captured from a stream, to be enqueued as a whole.
class cuda_graph {
 public:
  cuda_graph() = default;
  cuda_graph(cuda_graph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
  cuda_graph& operator=(cuda_graph&& other) noexcept {
    std::swap(graph_, other.graph_);
    return *this;
  }
  ~cuda_graph();

  /// What `enqueue` puts on the stream, which is not run. When it throws, the capture is given up.
  template <class Enqueue>
  static cuda_graph capture(cuda_stream stream, Enqueue&& enqueue) {
    begin_capture(stream);
    try {
      enqueue();
    } catch (...) {
      drop_capture(stream);
      throw;
    }
    return end_capture(stream);
  }

  void launch(cuda_stream stream) const;

 private:
  static void begin_capture(cuda_stream stream);
  static void drop_capture(cuda_stream stream);
  static cuda_graph end_capture(cuda_stream stream);

  CUgraphExec_st* graph_ = nullptr;
};

/// Bytes a second that the device copies within its memory, read and written counted each; best of some copies of 1
/// GiB.
double measure_copy_bandwidth(const cuda_device& device);

}  // namespace troupe
