// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cuda/device_buffer.hpp"
#include "kernels/cuda/peer_exchange.hpp"
#include "kernels/cuda/peer_memory.hpp"
#include "runtime/collective/communicator.hpp"
#include "runtime/collective/device_communicator.hpp"

namespace troupe {

/// Where in a forward pass the ranks exchange. A pass makes its exchanges in this order, layer by layer; an exchange
/// through the library has a point too.
struct exchange_point {
  enum class kind : std::uint8_t { embedding, attention, feed_forward, logits };
  kind where = kind::embedding;
  std::size_t layer = 0;
};

/// How the tensor ranks of a stage add up, and put together, what each of them has a part of: small exchanges by the
/// kernels themselves where the devices reach each other's memory, all others through the library.
class cuda_tensor_link {
 public:
  /// Together with the other ranks, which must come within the host communicator's deadline. `library` may be null for
  /// ranks that never exchange more than direct() allows.
  cuda_tensor_link(communicator& host, std::unique_ptr<device_communicator> library, std::size_t layers,
                   cuda_stream stream);

  /// Waits for what is under way here, which ends soon whatever the other ranks do.
  ~cuda_tensor_link();

  /// Device memory that it takes.
  static std::uint64_t bytes_for(std::size_t ranks);

  std::size_t rank() const { return rank_; }
  std::size_t size() const { return size_; }
  bool reaches_peers() const { return !peers_.empty(); }

  /// Whether an exchange of so many values goes without the library.
  bool direct(std::size_t rows, std::size_t columns) const;

  /// What a kernel that sends by itself needs. `pass` as in peer_exchange.
  peer_exchange exchange(exchange_point point, const std::uint32_t* pass) const;

  /// As peer_reduce_cuda, over all ranks; `partial` is overwritten. Fills in the call's exchange.
  void reduce(peer_reduce_call call, float* partial, exchange_point point, const std::uint32_t* pass,
              cuda_stream stream) const;

  /// The same of what direct() does not allow, over the library, with half as many bytes to exchange: shares and sums
  /// are rounded as activations are.
  void reduce(peer_reduce_call call, bf16* partial, cuda_stream stream) const;

  /// All rows of the logits on every rank. `gathered` has room for gather_rows rows of every rank; `call.part` may be
  /// read up to rows * padded elements.
  void gather(const logits_gather_call& call, float* gathered, const std::uint32_t* pass, cuda_stream stream) const;
  static constexpr std::size_t gather_rows = 64;

  /// Passes that can be numbered before all ranks must call renew, after which they count from 1 again.
  std::uint32_t passes_max() const;
  void renew(communicator& host) const;

  /// Ends waits of kernels under way and of later ones; from any thread.
  void stop() noexcept;

  void check() const {
    if (library_) library_->check();
  }

 private:
  void reach_peers(communicator& host);
  void warm_up() const;
  device_communicator& library() const;
  std::uint32_t calls() const { return static_cast<std::uint32_t>(2 * layers_ + 2); }

  std::size_t rank_, size_;
  std::size_t layers_;
  cuda_stream stream_;
  pinned_buffer stop_;
  std::shared_ptr<device_buffer> inbox_;  ///< kept by the ranks of this process, which may still write to it
  std::vector<std::shared_ptr<device_buffer>> kept_;
  std::vector<peer_memory> peers_;  ///< by rank; empty unless all ranks reach all others
  peer_channel channel_;
  // Ended first: nothing on the device can be freed while a kernel of the library waits for a lost rank.
  std::unique_ptr<device_communicator> library_;
};

}  // namespace troupe
