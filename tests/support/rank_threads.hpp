// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/collective/communicator.hpp"
#include "runtime/collective/make_communicator.hpp"
#include "runtime/collective/memory_bootstrap_store.hpp"

namespace troupe::test {

/// Runs `body(rank)` on a thread for each rank and waits for all. Gives each rank's exception text, empty for none.
inline std::vector<std::string> run_threads(int ranks, const std::function<void(int)>& body) {
  std::vector<std::string> errors(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      try {
        body(rank);
      } catch (const std::exception& e) {
        errors[static_cast<std::size_t>(rank)] = e.what();
      }
    });
  for (auto& thread : threads)
    thread.join();
  return errors;
}

/// The same with a communicator for each rank, joined on its thread and destroyed there.
inline std::vector<std::string> run_ranks(communicator_options options,
                                          const std::function<void(communicator&)>& body) {
  memory_bootstrap_store store;
  return run_threads(options.size, [&](int rank) {
    auto mine = options;
    mine.rank = rank;
    body(*make_communicator(mine, store));
  });
}

}  // namespace troupe::test
