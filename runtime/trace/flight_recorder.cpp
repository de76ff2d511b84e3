// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/flight_recorder.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/trace/flight_slot.hpp"

namespace troupe {
namespace {

constexpr std::size_t words_per_slot = std::tuple_size_v<flight_words>;

std::uint64_t now_ns(clockid_t clock) noexcept {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

template <std::size_t Size>
void copy_text(std::array<char, Size>& to, std::string_view from) {
  std::memcpy(to.data(), from.data(), std::min(from.size(), Size - 1));
}

/// A file name that sorts by start: its time, the process, and what it is.
std::string file_name(const flight_identity& identity) {
  auto role = identity.role;
  for (auto& c : role)
    if (std::strchr("abcdefghijklmnopqrstuvwxyz0123456789-", c) == nullptr) c = '-';
  return fmt::format("{:020}-{}-{}.flight", static_cast<std::int64_t>(identity.started_ns) + identity.wall_offset_ns,
                     identity.process, role);
}

/// Space for the whole file is taken at once: a write to a mapping that the disk has no room for would be a signal.
int open_record(const std::filesystem::path& path, std::size_t size) {
  auto fail = [&](int why) {
    return std::runtime_error(
        fmt::format("the flight record {} could not be made: {}", path.string(), std::generic_category().message(why)));
  };
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) throw fail(errno);
  if (::flock(file, LOCK_EX) != 0) {
    auto why = errno;
    ::close(file);
    throw fail(why);
  }
  if (auto why = posix_fallocate(file, 0, static_cast<off_t>(size)); why != 0) {
    ::close(file);
    ::unlink(path.c_str());
    throw fail(why);
  }
  return file;
}

}  // namespace

std::uint64_t steady_now_ns() noexcept { return now_ns(CLOCK_MONOTONIC); }

std::uint64_t machine_identity() {
  std::string boot;
  std::getline(std::ifstream{"/proc/sys/kernel/random/boot_id"}, boot);
  std::array<char, 64> clock{};  // a container may have a steady clock of its own
  auto length = ::readlink("/proc/self/ns/time", clock.data(), clock.size());
  if (length > 0) boot.append(clock.data(), static_cast<std::size_t>(length));
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (unsigned char c : boot)
    hash = (hash ^ c) * 0x100000001b3U;
  return hash;
}

flight_recorder::flight_recorder(flight_recorder_options options) {
  if (!std::has_single_bit(options.slots) || options.slots < 64 || options.slots > flight_slots_max)
    throw std::invalid_argument(
        fmt::format("a flight record of {} slots; give a power of two from 64 to {}", options.slots, flight_slots_max));
  auto& identity = options.identity;
  identity.process = static_cast<std::uint64_t>(getpid());
  identity.machine = machine_identity();
  identity.started_ns = steady_now_ns();
  identity.wall_offset_ns =
      static_cast<std::int64_t>(now_ns(CLOCK_REALTIME)) - static_cast<std::int64_t>(identity.started_ns);
  size_ = flight_slots_offset + std::size_t{options.slots} * sizeof(flight_words);
  mask_ = options.slots - 1;
  int sharing = MAP_PRIVATE | MAP_ANONYMOUS;
  if (!options.folder.empty()) {
    path_ = options.folder / file_name(identity);
    file_ = open_record(path_, size_);
    sharing = MAP_SHARED;
  }
  auto* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, sharing, file_, 0);
  if (memory == MAP_FAILED) {
    auto why = errno;
    if (file_ >= 0) ::close(file_);
    throw std::runtime_error(
        fmt::format("memory for a flight record of {} bytes: {}", size_, std::generic_category().message(why)));
  }
  base_ = static_cast<char*>(memory);
  slots_ = reinterpret_cast<word*>(base_ + flight_slots_offset);
  flight_header header;
  header.version = flight_version;
  header.slot_bytes = sizeof(flight_words);
  header.slots = options.slots;
  header.process = identity.process;
  header.machine = identity.machine;
  header.started_ns = identity.started_ns;
  header.wall_offset_ns = identity.wall_offset_ns;
  copy_text(header.role, identity.role);
  copy_text(header.node, identity.node);
  std::memcpy(base_, &header, sizeof header);
  std::memcpy(base_, flight_magic.data(), flight_magic.size());
}

flight_recorder::~flight_recorder() {
  ::munmap(base_, size_);
  if (file_ >= 0) ::close(file_);
}

void flight_recorder::record(trace_event event) noexcept {
  if (event.time_ns == 0) event.time_ns = steady_now_ns();
  const auto index = next_.fetch_add(1, std::memory_order_relaxed);
  const auto words = to_words(event, index + 1);
  auto* slot = slots_ + (index & mask_) * words_per_slot;
  // Unsealed first and sealed last, so that who reads meanwhile, or after a kill, sees the whole event or none.
  slot[words_per_slot - 1].store(0, std::memory_order_relaxed);
  for (std::size_t i = 0; i + 1 < words_per_slot; ++i)
    slot[i].store(words[i], std::memory_order_release);
  slot[words_per_slot - 1].store(words.back(), std::memory_order_release);
}

std::uint16_t flight_recorder::name(std::string_view group) noexcept {
  group = group.substr(0, flight_name_bytes - 1);
  auto known = [&](std::size_t from, std::size_t to) {
    while (from < to && group != std::string_view{name_at(from)})
      ++from;
    return from;
  };
  auto count = names_.load(std::memory_order_acquire);
  if (auto index = known(0, count); index < count) return static_cast<std::uint16_t>(index);
  std::lock_guard lock{naming_};
  auto all = names_.load(std::memory_order_relaxed);
  if (auto index = known(count, all); index < all) return static_cast<std::uint16_t>(index);
  if (group.empty() || all == flight_names_max) return trace_none;
  std::memcpy(name_at(all), group.data(), group.size());
  names_.store(all + 1, std::memory_order_release);
  return static_cast<std::uint16_t>(all);
}

std::vector<std::byte> flight_recorder::bytes() const {
  std::vector<std::byte> copy(size_);
  std::memcpy(copy.data(), base_, flight_names_offset);
  auto names = names_.load(std::memory_order_acquire);
  std::memcpy(copy.data() + flight_names_offset, name_at(0), names * flight_name_bytes);
  for (std::uint64_t index = 0; index <= mask_; ++index) {
    flight_words words;
    const auto* slot = slots_ + index * words_per_slot;
    auto seal = slot[words_per_slot - 1].load(std::memory_order_acquire);
    for (std::size_t i = 0; i + 1 < words_per_slot; ++i)
      words[i] = slot[i].load(std::memory_order_acquire);
    words.back() = seal;
    std::memcpy(copy.data() + flight_slots_offset + index * sizeof words, words.data(), sizeof words);
  }
  return copy;
}

}  // namespace troupe
