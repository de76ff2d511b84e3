// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/nccl.hpp"

#include <chrono>
#include <cstring>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nccl.h>

#include "kernels/cuda/cuda_device.hpp"
#include "runtime/collective/checks.hpp"
#include "runtime/collective/communicator.hpp"

namespace troupe {

namespace {

using clock = std::chrono::steady_clock;

constexpr int size_max = 1024;
/// A call only puts work on a stream; one that takes longer has lost a peer while it set a connection up.
constexpr std::chrono::seconds enqueue_deadline{20};
/// How long the end of a communicator may take before it is left to the end of the process.
constexpr std::chrono::seconds abort_patience{5};

ncclUniqueId exchange_id(const communicator_options& options, bootstrap_store& store, clock::time_point deadline) {
  const auto key = "nccl/" + options.name;
  ncclUniqueId id{};
  if (options.rank == 0) {
    if (const auto status = ncclGetUniqueId(&id); status != ncclSuccess)
      throw collective_error(
          fmt::format("group \"{}\": NCCL could not make an id: {}", options.name, ncclGetErrorString(status)));
    const auto bytes = std::as_bytes(std::span(id.internal));
    store.set(key, {bytes.begin(), bytes.end()});
    return id;
  }
  const auto bytes = store.get(key, deadline);
  if (!bytes || bytes->size() != sizeof id.internal)
    throw collective_error(fmt::format("rank {} of {} could not join group \"{}\": rank 0 has not left NCCL's id",
                                       options.rank, options.size, options.name));
  std::memcpy(id.internal, bytes->data(), sizeof id.internal);
  return id;
}

class nccl_communicator final : public device_communicator {
 public:
  nccl_communicator(const communicator_options& options, bootstrap_store& store, std::size_t device)
      : rank_(options.rank), size_(options.size), name_(options.name), device_(device), progress_(options.progress) {
    const auto deadline = clock::now() + options.join_deadline;
    const auto id = exchange_id(options, store, deadline);
    make_device_current(device);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const auto status = ncclCommInitRankConfig(&handle_, size_, id, rank_, &config);
    try {
      settle(status, "joining", deadline);
    } catch (...) {
      close();
      throw;
    }
  }

  ~nccl_communicator() override { close(); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void all_reduce_sum(float* values, std::size_t count, cuda_stream stream) override {
    enqueue("all-reduce", ncclAllReduce(values, values, count, ncclFloat, ncclSum, handle_, stream));
  }

  void all_reduce_sum(bf16* values, std::size_t count, cuda_stream stream) override {
    enqueue("all-reduce", ncclAllReduce(values, values, count, ncclBfloat16, ncclSum, handle_, stream));
  }

  void all_gather(const float* mine, float* all, std::size_t count, cuda_stream stream) override {
    enqueue("all-gather", ncclAllGather(mine, all, count, ncclFloat, handle_, stream));
  }

  void send(const float* values, std::size_t count, int peer, cuda_stream stream) override {
    check_other_rank(peer, rank_, size_);
    enqueue("send", ncclSend(values, count, ncclFloat, peer, handle_, stream));
  }

  void receive(float* values, std::size_t count, int peer, cuda_stream stream) override {
    check_other_rank(peer, rank_, size_);
    enqueue("receive", ncclRecv(values, count, ncclFloat, peer, handle_, stream));
  }

  void check() const override {
    auto status = ncclSuccess;
    if (ncclCommGetAsyncError(handle_, &status) != ncclSuccess || (status != ncclSuccess && status != ncclInProgress))
      fail("exchanging", status);
  }

 private:
  void enqueue(const char* what, ncclResult_t status) { settle(status, what, clock::now() + enqueue_deadline); }

  /// A communicator that does not block answers "in progress", and must not be used before it has settled.
  void settle(ncclResult_t status, const char* what, clock::time_point deadline) {
    while (status == ncclSuccess || status == ncclInProgress) {
      auto state = ncclSuccess;
      if (handle_ == nullptr || ncclCommGetAsyncError(handle_, &state) != ncclSuccess) fail(what, status);
      if (state == ncclSuccess) return;
      status = state;
      if (clock::now() > deadline) fail(fmt::format("{}: not done at the deadline", what), ncclInProgress);
      if (progress_) progress_->advance();
      std::this_thread::yield();
    }
    fail(what, status);
  }

  [[noreturn]] void fail(const std::string& what, ncclResult_t status) const {
    throw collective_error(fmt::format("rank {} of {} in group \"{}\" over NCCL: {}: {} {}", rank_, size_, name_, what,
                                       ncclGetErrorString(status), handle_ ? ncclGetLastError(handle_) : ""));
  }

  /// Aborts rather than destroys: that needs no other rank. On a thread of its own, because an abort that waits for
  /// something it will not get must not keep this rank from ending.
  void close() noexcept {
    if (handle_ == nullptr) return;
    std::promise<void> ended;
    auto waited = ended.get_future();
    std::thread([handle = std::exchange(handle_, nullptr), device = device_, done = std::move(ended)]() mutable {
      make_device_current(device);
      ncclCommAbort(handle);
      done.set_value();
    }).detach();
    waited.wait_for(abort_patience);
  }

  int rank_, size_;
  std::string name_;
  std::size_t device_;
  std::shared_ptr<progress_counter> progress_;
  ncclComm_t handle_ = nullptr;
};

}  // namespace

bool nccl_is_available() { return true; }

std::unique_ptr<device_communicator> make_nccl_communicator(const communicator_options& options, bootstrap_store& store,
                                                            std::size_t device) {
  check_membership(options, size_max);
  return std::make_unique<nccl_communicator>(options, store, device);
}

}  // namespace troupe
