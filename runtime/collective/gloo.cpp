// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/gloo.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gloo/rendezvous/context.h>
#include <gloo/transport/tcp/device.h>
#include <gloo/transport/unbound_buffer.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/collective/checks.hpp"
#include "runtime/collective/mesh_communicator.hpp"

namespace troupe {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int size_max = 256;

/// Gives Gloo our store: keys below the group's name, and every wait bounded by the joining deadline.
class gloo_store final : public gloo::rendezvous::Store {
 public:
  gloo_store(bootstrap_store& inner, std::string prefix, clock::time_point deadline)
      : inner_(inner), prefix_(std::move(prefix)), deadline_(deadline) {}

  void set(const std::string& key, const std::vector<char>& data) override {
    const auto bytes = std::as_bytes(std::span(data));
    inner_.set(prefix_ + key, {bytes.begin(), bytes.end()});
  }

  std::vector<char> get(const std::string& key) override {
    const auto bytes = inner_.get(prefix_ + key, deadline_);
    if (!bytes) throw std::runtime_error("nobody has set \"" + prefix_ + key + "\" in the store");
    std::vector<char> data(bytes->size());
    std::memcpy(data.data(), bytes->data(), bytes->size());
    return data;
  }

  void wait(const std::vector<std::string>& keys) override {
    for (const auto& key : keys)
      get(key);
  }

  bool waited_for(const std::string& key) { return inner_.get(prefix_ + key, deadline_).has_value(); }

 private:
  bootstrap_store& inner_;
  std::string prefix_;
  clock::time_point deadline_;
};

class gloo_transfer final : public transfer {
 public:
  enum class direction { send, receive };

  gloo_transfer(std::unique_ptr<gloo::transport::UnboundBuffer> memory, direction way)
      : memory_(std::move(memory)), way_(way) {}

  bool wait(milliseconds timeout) override {
    return way_ == direction::send ? memory_->waitSend(timeout) : memory_->waitRecv(timeout);
  }

  void interrupt() noexcept override { way_ == direction::send ? memory_->abortWaitSend() : memory_->abortWaitRecv(); }

 private:
  std::unique_ptr<gloo::transport::UnboundBuffer> memory_;
  direction way_;
};

class gloo_mesh final : public mesh {
 public:
  explicit gloo_mesh(std::shared_ptr<gloo::Context> context) : context_(std::move(context)) {}

  std::unique_ptr<transfer> send(std::span<const std::byte> bytes, int peer, std::uint64_t slot) override {
    // Gloo takes one kind of pointer for both directions and only reads from this one.
    auto memory = context_->createUnboundBuffer(const_cast<std::byte*>(bytes.data()), bytes.size());
    memory->send(peer, slot);
    return std::make_unique<gloo_transfer>(std::move(memory), gloo_transfer::direction::send);
  }

  std::unique_ptr<transfer> receive(std::span<std::byte> bytes, int peer, std::uint64_t slot) override {
    auto memory = context_->createUnboundBuffer(bytes.data(), bytes.size());
    memory->recv(peer, slot);
    return std::make_unique<gloo_transfer>(std::move(memory), gloo_transfer::direction::receive);
  }

  void close() noexcept override {
    try {
      context_->closeConnections();
    } catch (const std::exception&) {
      // A connection that cannot be closed is broken already, which is what the caller wants.
    }
  }

 private:
  std::shared_ptr<gloo::Context> context_;
};

[[noreturn]] void fail_to_join(const communicator_options& options, const std::string& why) {
  throw collective_error(
      fmt::format("rank {} of {} could not join group \"{}\": {}", options.rank, options.size, options.name, why));
}

/// The socket address of an IP address with any port; nothing for other text. A host name would be resolved to whatever
/// the resolver says, and the caller means one address of this host.
std::optional<sockaddr_storage> parse_address(const std::string& text) {
  sockaddr_storage address{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    address.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    address.ss_family = AF_INET6;
  } else {
    return std::nullopt;
  }
  return address;
}

/// Checked here because Gloo would only say so deep inside, and late.
void check_address(const communicator_options& options) {
  const auto address = parse_address(options.address);
  if (!address)
    throw std::invalid_argument(fmt::format("address \"{}\" for the group \"{}\": an IP address of this host is needed",
                                            options.address, options.name));
  const int probe = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool binds = probe >= 0 && bind(probe, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0;
  const int error = errno;
  if (probe >= 0) close(probe);
  if (!binds) fail_to_join(options, fmt::format("binding to {}: {}", options.address, std::strerror(error)));
}

void wait_for_all(const communicator_options& options, gloo_store& store) {
  const auto present = [](int rank) { return fmt::format("present_{}", rank); };
  store.set(present(options.rank), {'1'});
  std::string missing;
  for (int rank = 0; rank < options.size; ++rank)
    if (!store.waited_for(present(rank))) missing += fmt::format("{}{}", missing.empty() ? "" : ", ", rank);
  if (!missing.empty())
    fail_to_join(options, fmt::format("after {} ms ranks {} have not come", options.join_deadline.count(), missing));
}

std::shared_ptr<gloo::Context> connect(const communicator_options& options, gloo_store& store,
                                       clock::time_point deadline) {
  try {
    auto device = gloo::transport::tcp::CreateDevice(gloo::transport::tcp::attr(options.address.c_str()));
    const auto context = std::make_shared<gloo::rendezvous::Context>(options.rank, options.size);
    context->setTimeout(std::max(std::chrono::ceil<milliseconds>(deadline - clock::now()), milliseconds{1}));
    context->connectFullMesh(store, device);
    return context;
  } catch (const std::exception& e) {
    fail_to_join(options, fmt::format("connecting from {}: {}", options.address, e.what()));
  }
}

}  // namespace

bool gloo_is_available() { return true; }

std::unique_ptr<communicator> make_gloo_communicator(const communicator_options& options, bootstrap_store& store) {
  check_membership(options, size_max);
  check_address(options);
  const auto deadline = clock::now() + options.join_deadline;
  gloo_store adapter(store, "gloo/" + options.name + "/", deadline);
  wait_for_all(options, adapter);
  auto connections = std::make_unique<gloo_mesh>(connect(options, adapter, deadline));
  return std::make_unique<mesh_communicator>(std::move(connections), options);
}

}  // namespace troupe
