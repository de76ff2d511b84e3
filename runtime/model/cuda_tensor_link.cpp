// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/cuda_tensor_link.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <fstream>
#include <limits>
#include <span>

#include "kernels/cuda/cuda_device.hpp"
#include "runtime/collective/process_identity.hpp"

namespace troupe {

namespace {

/// Values of one exchange: 256 rows of 4,096.
constexpr std::size_t capacity = std::size_t{1} << 20;

/// What a rank tells the others of itself.
struct rank_card {
  std::array<char, 40> host{};  ///< the boot id: equal on ranks that may share memory
  process_identity process{};
  shared_memory_card memory{};
  const std::shared_ptr<device_buffer>* owner = nullptr;  ///< for ranks of the same process
};

rank_card make_card(const std::shared_ptr<device_buffer>& inbox) {
  rank_card card;
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  std::copy_n(boot.begin(), std::min(boot.size(), card.host.size() - 1), card.host.begin());
  card.process = this_process();
  card.memory = share_memory(*inbox);
  card.owner = &inbox;
  return card;
}

template <class T>
std::vector<T> gather_cards(communicator& host, const T& mine) {
  std::vector<T> all(static_cast<std::size_t>(host.size()));
  host.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)));
  return all;
}

}  // namespace

std::uint64_t cuda_tensor_link::bytes_for(std::size_t ranks) {
  return ranks > 1 && ranks <= exchange_ranks_max ? peer_channel::inbox_bytes(ranks, capacity) : 0;
}

cuda_tensor_link::cuda_tensor_link(communicator& host, std::unique_ptr<device_communicator> library, std::size_t layers,
                                   cuda_stream stream)
    : rank_(static_cast<std::size_t>(host.rank())),
      size_(static_cast<std::size_t>(host.size())),
      layers_(layers),
      stream_(stream),
      stop_(sizeof(std::uint32_t)),
      inbox_(std::make_shared<device_buffer>(bytes_for(size_))),
      library_(std::move(library)) {
  *stop_.as<std::uint32_t>() = 0;
  clear_device(inbox_->data(), inbox_->bytes(), stream_);
  synchronize(stream_);
  reach_peers(host);
  warm_up();
}

cuda_tensor_link::~cuda_tensor_link() {
  stop();
  library_.reset();
  try {
    synchronize(stream_);
  } catch (const std::exception&) {
    // A device that has failed writes nothing more.
  }
}

/// The library connects ranks when they first exchange so much in such a way; no prompt should wait for that.
void cuda_tensor_link::warm_up() const {
  if (!library_ || inbox_->bytes() == 0) return;
  auto* zeros = inbox_->as<float>();  // the sum of which is what the inbox must hold
  for (const std::size_t count : {std::size_t{1} << 10, std::size_t{1} << 18, std::size_t{1} << 22}) {
    library_->all_reduce_sum(zeros, count, stream_);
    library_->all_reduce_sum(inbox_->as<bf16>(), count, stream_);
    library_->all_gather(zeros, zeros + count, count / size_, stream_);
  }
  synchronize(stream_);
}

void cuda_tensor_link::reach_peers(communicator& host) {
  if (size_ > exchange_ranks_max) return;
  const auto cards = gather_cards(host, make_card(inbox_));
  const auto& me = cards[rank_];
  std::vector<peer_memory> reached(size_);
  std::uint8_t all_reached = 1;
  for (std::size_t r = 0; r < size_; ++r) {
    if (r == rank_) continue;
    const bool here = cards[r].host == me.host && cards[r].process == me.process;
    if (here) kept_.push_back(*cards[r].owner);
    if (cards[r].host == me.host) reached[r] = peer_memory(cards[r].memory, here);
    if (reached[r].data() == nullptr) all_reached = 0;
  }
  const auto answers = gather_cards(host, all_reached);
  if (std::find(answers.begin(), answers.end(), 0) != answers.end()) return;
  peers_ = std::move(reached);
  channel_.rank = static_cast<std::uint32_t>(rank_);
  channel_.size = static_cast<std::uint32_t>(size_);
  channel_.capacity = static_cast<std::uint32_t>(capacity);
  channel_.stop = stop_.as<std::uint32_t>();
  const auto part = peer_channel::inbox_bytes(1, capacity);
  for (std::size_t r = 0; r < size_; ++r) {
    channel_.inbox[r] = inbox_->data() + r * part;
    if (r != rank_) channel_.outbox[r] = peers_[r].data() + rank_ * part;
  }
}

bool cuda_tensor_link::direct(std::size_t rows, std::size_t columns) const {
  return reaches_peers() && rows <= exchange_rows_max && rows * columns <= capacity;
}

peer_exchange cuda_tensor_link::exchange(exchange_point point, const std::uint32_t* pass) const {
  using kind = exchange_point::kind;
  peer_exchange result{channel_, pass};
  // Exchanges of one slot have another between them in every order in which a pass can leave some out.
  result.calls = calls();
  switch (point.where) {
    case kind::embedding:
      result.call = 0, result.slot = 2;
      break;
    case kind::attention:
      result.call = static_cast<std::uint32_t>(2 * point.layer + 1), result.slot = 0;
      break;
    case kind::feed_forward:
      result.call = static_cast<std::uint32_t>(2 * point.layer + 2), result.slot = 1;
      break;
    case kind::logits:
      result.call = result.calls - 1, result.slot = 3;
      break;
  }
  return result;
}

void cuda_tensor_link::reduce(peer_reduce_call call, float* partial, exchange_point point, const std::uint32_t* pass,
                              cuda_stream stream) const {
  call.partial = partial;
  if (direct(call.rows, call.columns)) {
    call.exchange = exchange(point, pass);
  } else {
    assert(!call.sent);
    library().all_reduce_sum(partial, call.rows * call.columns, stream);
  }
  peer_reduce_cuda(call, stream);
}

void cuda_tensor_link::reduce(peer_reduce_call call, bf16* partial, cuda_stream stream) const {
  assert(!call.sent && !direct(call.rows, call.columns));
  library().all_reduce_sum(partial, call.rows * call.columns, stream);
  call.rounded = partial;
  peer_reduce_cuda(call, stream);
}

void cuda_tensor_link::gather(const logits_gather_call& call, float* gathered, const std::uint32_t* pass,
                              cuda_stream stream) const {
  if (direct(1, call.rows * call.padded))
    return gather_logits_cuda(exchange({exchange_point::kind::logits}, pass), call, stream);
  // This rank's rows are as long as its part; every rank sends as many elements as the longest part has.
  const auto begin = std::min(call.vocabulary, rank_ * call.padded);
  const auto columns = std::min(call.padded, call.vocabulary - begin);
  for (std::size_t row = 0; row < call.rows; row += gather_rows) {
    auto some = call;
    some.rows = std::min(gather_rows, call.rows - row);
    const auto stride = some.rows * call.padded;
    library().all_gather(call.part + row * columns, gathered, stride, stream);
    some.part = gathered;
    some.logits = call.logits + row * call.vocabulary;
    place_logits_cuda(size_, stride, some, stream);
  }
}

std::uint32_t cuda_tensor_link::passes_max() const { return std::numeric_limits<std::uint32_t>::max() / calls() - 1; }

void cuda_tensor_link::renew(communicator& host) const {
  host.barrier();
  clear_device(inbox_->data(), inbox_->bytes(), stream_);
  synchronize(stream_);
  host.barrier();
}

device_communicator& cuda_tensor_link::library() const {
  if (!library_) throw collective_error("devices that do not reach each other, and large exchanges, need NCCL");
  return *library_;
}

void cuda_tensor_link::stop() noexcept {
  // The device looks at it while it waits.
  *const_cast<volatile std::uint32_t*>(stop_.as<std::uint32_t>()) = 1;
}

}  // namespace troupe
