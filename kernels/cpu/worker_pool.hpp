// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace troupe {

/// Threads that share the items of one parallel loop at a time. They spin for a moment between loops, because a decode
/// step is hundreds of short ones, then sleep. Which thread runs an item is not fixed, so an item's result must depend
/// on the item alone. One thread at a time calls run; items must not throw.
class worker_pool {
 public:
  /// `threads` counts the caller of run, so 1 starts none.
  explicit worker_pool(std::size_t threads);
  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;
  ~worker_pool();

  std::size_t threads() const { return workers_.size() + 1; }

  /// Calls body(i) for i in [0, items) and returns when all have returned.
  template <class Body>
  void run(std::size_t items, Body&& body) {
    using body_type = std::remove_reference_t<Body>;
    run_erased(
        items, [](void* context, std::size_t item) { (*static_cast<body_type*>(context))(item); }, &body);
  }

 private:
  using item_function = void (*)(void* context, std::size_t item);

  void run_erased(std::size_t items, item_function function, void* context);
  /// Runs items of the current loop until none is left to claim.
  void work();
  void worker_main();

  // Upper half: number of the loop; lower half: next item, or `closed`. A claim is one compare-exchange on both, so a
  // thread that comes late can never claim an item of a newer loop with what it read of an older one.
  std::atomic<std::uint64_t> ticket_;
  std::atomic<item_function> function_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<std::uint32_t> items_{0};
  alignas(64) std::atomic<std::uint32_t> done_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

}  // namespace troupe
