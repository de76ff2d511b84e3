// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/troupe/certificates.hpp"
#include "apps/troupe/commands.hpp"

namespace troupe {
namespace {

struct certs_options {
  std::string folder;
  std::string cluster = "troupe";
  certificate_request request;
  int authority_days = 3650;
};

void run_init(const certs_options& options) {
  make_authority(options.folder, options.cluster, options.authority_days);
  fmt::print(
      "{0}/ca.pem  give it to every node and client\n{0}/ca.key  keep it here: who has it can join the cluster\n",
      options.folder);
}

void run_make(const certs_options& options) {
  make_certificate(options.folder, options.request);
  fmt::print("{0}/{1}.pem\n{0}/{1}.key\n", options.folder, options.request.name);
}

CLI::App* add_make(CLI::App& family, const std::shared_ptr<certs_options>& options, const char* what,
                   const char* description) {
  auto* command = family.add_subcommand(what, description);
  command->add_option("folder", options->folder, "Where the authority is")->required();
  command->add_option("name", options->request.name, "Of the node or client, and of the two files")->required();
  command->add_option("--days", options->request.days, "How long it is valid")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  command->callback([options] { run_make(*options); });
  return command;
}

}  // namespace

void add_certs_command(CLI::App& program, int&) {
  auto options = std::make_shared<certs_options>();
  options->request.days = 825;
  auto* family = program.add_subcommand("certs", "Make the TLS files of a cluster");
  family->require_subcommand(1);
  auto* init = family->add_subcommand("init", "Make the cluster's own certificate authority");
  init->add_option("folder", options->folder, "A new folder, readable for you alone")->required();
  init->add_option("--cluster", options->cluster, "The cluster's name, as certificates show it")->capture_default_str();
  init->add_option("--days", options->authority_days, "How long it is valid")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  init->callback([options] { run_init(*options); });
  auto* node = add_make(*family, options, "node", "Make certificate and key of a node");
  node->add_option("--address", options->request.addresses, "Its IP address or host name; may be given again")
      ->required();
  add_make(*family, options, "client", "Make certificate and key of a person or program that asks");
}

}  // namespace troupe
