// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/collective/group_communicators.hpp"
#include "runtime/collective/local_group.hpp"

namespace troupe {

/// The links of all ranks of a tensor x pipeline group whose ranks are threads, by rank.
inline std::vector<group_communicators> make_thread_links(std::size_t tensor, std::size_t pipeline) {
  std::vector<group_communicators> links(tensor * pipeline);
  for (std::size_t stage = 0; stage < pipeline; ++stage) {
    auto parts = make_local_group({.size = static_cast<int>(tensor)});
    for (std::size_t rank = 0; rank < tensor; ++rank)
      links[stage * tensor + rank].tensor = std::move(parts[rank]);
  }
  for (std::size_t rank = 0; rank < tensor; ++rank) {
    auto parts = make_local_group({.size = static_cast<int>(pipeline)});
    for (std::size_t stage = 0; stage < pipeline; ++stage)
      links[stage * tensor + rank].pipeline = std::move(parts[stage]);
  }
  return links;
}

/// Runs body(i) for each rank on a thread of its own; throws what the first of them threw.
template <class Body>
void run_on_threads(std::size_t ranks, Body body) {
  std::vector<std::exception_ptr> errors(ranks);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < ranks; ++i) {
    threads.emplace_back([&, i] {
      try {
        body(i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace troupe
