// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/doctor_checks.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include <fmt/format.h>
#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include "actors/tls.hpp"
#include "apps/troupe/file_descriptor.hpp"
#include "apps/troupe/node_memory.hpp"
#include "apps/troupe/serving.hpp"

namespace troupe {
namespace {

constexpr std::uint64_t shared_memory_wanted = 64ULL << 20;
constexpr rlim_t open_files_wanted = 4096;

/// Binds to an address without listening there. Why it cannot be bound, or an empty string.
std::string bind_problem(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (auto error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0)
    return gai_strerror(error);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, ::freeaddrinfo);
  const file_descriptor socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  return ::bind(socket.get(), found->ai_addr, found->ai_addrlen) == 0 ? std::string{} : std::strerror(errno);
}

/// Good with what `look` returns, or not good with what it throws.
doctor_finding attempt(std::string what, const std::function<std::string()>& look) {
  try {
    auto detail = look();  // may throw: `what` is still needed then
    return {std::move(what), true, std::move(detail)};
  } catch (const std::exception& error) {
    return {std::move(what), false, error.what()};
  }
}

doctor_finding check_shared_memory() {
  struct statvfs space {};
  if (::statvfs("/dev/shm", &space) != 0)
    return {"shared memory", false, fmt::format("/dev/shm cannot be looked at ({}); mount it", std::strerror(errno))};
  const auto free = std::uint64_t{space.f_bavail} * space.f_frsize;
  if (free < shared_memory_wanted)
    return {"shared memory", false,
            fmt::format("/dev/shm has {} MiB free; give it 64 MiB (--shm-size in a container)", free >> 20U)};
  return {"shared memory", true, fmt::format("/dev/shm has {} MiB free", free >> 20U)};
}

doctor_finding check_open_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= open_files_wanted) return {"open files", true, fmt::format("at most {}", limit.rlim_max)};
  return {"open files", false,
          fmt::format("the hard limit is {}; give {} (ulimit -Hn)", limit.rlim_max, open_files_wanted)};
}

bool shares_memory(const cluster_file& file) {
  return std::any_of(file.groups.begin(), file.groups.end(), [](const auto& group) { return group.ranks.size() > 1; });
}

doctor_finding check_port(const std::string& what, const host_port& door) {
  auto problem = bind_problem(door.host, door.port);
  if (problem.empty()) return {what, true, to_string(door) + " is free"};
  return {what, false,
          fmt::format("{} cannot be opened ({}); end what uses it, or give another", to_string(door), problem)};
}

}  // namespace

bool is_here(const std::string& host) { return bind_problem(host, 0).empty(); }

std::vector<doctor_finding> check_machine(const cluster_file& file) {
  std::vector<doctor_finding> findings;
  findings.push_back(attempt("model", [&] {
    check_served(file);
    auto model = read_model_bundle(file);
    for (const auto& group : file.groups)
      plan_shards(group, shape_of(model.config));
    return fmt::format("{}, context of {} tokens", model.name, model.context_tokens);
  }));
  if (file.tls)
    findings.push_back(attempt("tls files", [&] {
      check_tls_files(*file.tls);
      return fmt::format("{} is valid", file.tls->certificate.string());
    }));
  if (shares_memory(file)) findings.push_back(check_shared_memory());
  findings.push_back(check_open_files());
  return findings;
}

std::vector<doctor_finding> check_idle_node(const cluster_file& file, const node_spec& node) {
  std::vector<doctor_finding> findings;
  findings.push_back(check_port("port of node " + node.name, node.cluster));
  if (node.http) findings.push_back(check_port("http port of node " + node.name, *node.http));
  findings.push_back(attempt("memory of node " + node.name, [&] {
    plan_node_memory(file, read_model_bundle(file), node.name);
    return std::string{"its ranks fit into what is free"};
  }));
  return findings;
}

}  // namespace troupe
