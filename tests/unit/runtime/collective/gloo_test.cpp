// SPDX-License-Identifier: Apache-2.0
// What Gloo promises between processes.
#include "runtime/collective/gloo.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <stdlib.h>

#include "runtime/collective/memory_bootstrap_store.hpp"
#include "tests/support/rank_process.hpp"
#include "tests/unit/runtime/collective/backends.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A store between processes of one host: a folder with a file for each key.
class folder_bootstrap_store final : public bootstrap_store {
 public:
  explicit folder_bootstrap_store(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void set(const std::string& key, std::vector<std::byte> value) override {
    const auto unfinished = folder_ / ("unfinished" + file_of(key));
    std::ofstream(unfinished)
        .write(reinterpret_cast<const char*>(value.data()), static_cast<std::streamsize>(value.size()));
    std::filesystem::rename(unfinished, folder_ / file_of(key));
  }

  std::optional<std::vector<std::byte>> get(const std::string& key,
                                            std::chrono::steady_clock::time_point deadline) override {
    const auto file = folder_ / file_of(key);
    while (!std::filesystem::exists(file)) {
      if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
      std::this_thread::yield();
    }
    std::ifstream in(file);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto bytes = std::as_bytes(std::span(text));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  }

 private:
  static std::string file_of(std::string key) {
    for (auto& c : key)
      if (c == '/') c = ':';
    return key;
  }
  std::filesystem::path folder_;
};

class temporary_folder {
 public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "troupe-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~temporary_folder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::unique_ptr<communicator> join(communicator_options options, int rank, const temporary_folder& folder) {
  folder_bootstrap_store store(folder.path());
  options.rank = rank;
  return make_gloo_communicator(options, store);
}

std::string error_of_barrier(communicator& c) {
  try {
    c.barrier();
  } catch (const collective_error& e) {
    return e.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("a killed peer is named as dead long before the deadline, over Gloo") {
  if (!gloo_is_available()) SKIP("built without Gloo");
  auto options = options_for(communicator_kind::gloo, 2);
  options.deadline = 10min;
  const temporary_folder folder;
  rank_process other([&] {
    const auto c = join(options, 1, folder);
    c->barrier();
    raise(SIGKILL);
  });
  const auto c = join(options, 0, folder);
  c->barrier();
  CHECK_THAT(error_of_barrier(*c), ContainsSubstring("rank 1 has left or died"));
}

TEST_CASE("a stopped peer is waited for until the deadline, over Gloo") {
  if (!gloo_is_available()) SKIP("built without Gloo");
  auto options = options_for(communicator_kind::gloo, 2);
  options.deadline = 300ms;
  const temporary_folder folder;
  rank_process other([&] {
    const auto c = join(options, 1, folder);
    c->barrier();
    raise(SIGSTOP);
  });
  const auto c = join(options, 0, folder);
  c->barrier();
  other.wait_until_stopped();
  CHECK_THAT(error_of_barrier(*c), ContainsSubstring("barrier on rank 0") && ContainsSubstring("rank 1 did not come"));
}

TEST_CASE("an address that is not one of this host is named") {
  if (!gloo_is_available()) SKIP("built without Gloo");
  memory_bootstrap_store store;
  communicator_options options{.kind = communicator_kind::gloo, .name = "g", .size = 2, .address = "192.0.2.1"};
  CHECK_THROWS_WITH(make_gloo_communicator(options, store), ContainsSubstring("binding to 192.0.2.1"));
  options.address = "some-host";
  CHECK_THROWS_WITH(make_gloo_communicator(options, store), ContainsSubstring("an IP address of this host is needed"));
}
