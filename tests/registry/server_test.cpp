// Our server as a program, with our client and others' programs as its users.
#include <gtest/gtest.h>

#include "base/error.h"
#include "image/image.h"
#include "registry/login.h"
#include "registry/pull.h"
#include "registry/push.h"
#include "registry/registry_client.h"
#include "tests/support/image_namespace.h"
#include "tests/support/registry_images.h"
#include "tests/support/registry_server.h"

namespace ctr {
namespace {

const Platform kAmd64{"linux", "amd64", "", "", {}};

struct StoreOfTest {
  TempDirectory directory;
  NamespaceEnd end{directory.path() / "run"};
  Store store{directory.path() / "root", directory.path() / "run"};
};

void push_and_pull(RegistrySession& session, const std::string& name) {
  StoreOfTest here;
  StoreOfTest there;
  const Descriptor image = make_test_image(here.store, {{{"a", "one"}}, {{"b", std::string(300'000, 'b')}}}, kAmd64);
  const Descriptor plain{.media_type = image.media_type, .digest = image.digest, .size = image.size};
  const Reference reference = Reference::parse(name);
  const PushResult pushed = push_image(here.store, session, plain, reference, {});
  const PullResult pulled = pull_image(there.store, session, reference, {.platform = kAmd64});
  EXPECT_EQ(pulled.target.digest, pushed.target.digest);
  EXPECT_TRUE(has_all_layers(there.store, load_image(there.store.blobs(), pulled.target, kAmd64)));
}

TEST(RegistryServer, PushAndPullWork) {
  CtrRegistry server({});
  RegistrySession session(server.session_options());
  push_and_pull(session, server.host() + "/team/app:v1");
  EXPECT_NE(server.log().find("\"PUT /v2/team/app/manifests/v1\" 201"), std::string::npos);
}

TEST(RegistryServer, TlsAndPasswordsWork) {
  if (!find_program("htpasswd")) GTEST_SKIP() << "htpasswd is not installed";
  CtrRegistry server({.tls = true, .password = true});
  RegistrySession session(server.session_options());
  EXPECT_THROW(login(session, {server.host(), "user", "wrong"}), Error);
  login(session, {server.host(), "user", "secret"});
  RegistrySession again(server.session_options());
  push_and_pull(again, server.host() + "/app:v1");
  EXPECT_EQ(server.log().find("secret"), std::string::npos);
}

TEST(RegistryServer, WhatWasAcceptedSurvivesACrash) {
  CtrRegistry server({});
  RegistrySession session(server.session_options());
  RegistryClient client = session.client(server.host(), "app", Access::Push);
  const UploadSession unfinished = client.start_upload();
  StringBody body("half of something");
  client.patch_upload(unfinished, body, 0);
  push_and_pull(session, server.host() + "/app:v1");
  server.kill_and_restart();
  StoreOfTest store;
  EXPECT_EQ(pull_image(store.store, session, Reference::parse(server.host() + "/app:v1"), {.platform = kAmd64}).status,
            PullStatus::Downloaded);
  EXPECT_TRUE(list_directory(server.root() / "ingest").empty()) << "what was not finished is gone";
}

TEST(RegistryServer, ALargeBlobStreamsInChunksAndComesBackInParts) {
  CtrRegistry server({});
  RegistrySession session(server.session_options());
  RegistryClient client = session.client(server.host(), "big", Access::Push);
  std::string blob(5'000'000, 'x');
  for (std::size_t i = 0; i < blob.size(); i += 89) blob[i] = static_cast<char>('a' + i % 26);
  UploadSession upload = client.start_upload();
  StringBody first(blob.substr(0, 2'000'000));
  StringBody second(blob.substr(2'000'000));
  upload = client.patch_upload(upload, first, 0);
  upload = client.patch_upload(upload, second, 2'000'000);
  client.finish_upload(upload, Digest::of(blob), nullptr);
  EXPECT_EQ(client.read_blob({.media_type = "x", .digest = Digest::of(blob), .size = blob.size()}, blob.size()), blob);
}

TEST(RegistryServer, ARefusalIsReadThoughABodyIsOnItsWay) {
  CtrRegistry server({.flags = {"--read-only"}});
  RegistrySession session(server.session_options());
  RegistryClient client = session.client(server.host(), "app", Access::Push);
  try {
    client.put_manifest("v1", "application/vnd.oci.image.manifest.v1+json", std::string(2'000'000, ' '));
    FAIL();
  } catch (const RegistryError& error) {
    EXPECT_EQ(error.status(), 405);
  }
}

TEST(RegistryServer, SkopeoCopiesInAndOut) {
  if (!find_program("skopeo")) GTEST_SKIP() << "skopeo is not installed";
  CtrRegistry server({});
  RegistrySession session(server.session_options());
  push_and_pull(session, server.host() + "/app:v1");
  const auto skopeo = [&](const std::string& source, const std::string& target) {
    Command command;
    command.argv = {"skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", source, target};
    const CommandOutput output = run_command(std::move(command));
    EXPECT_TRUE(output.status.success()) << output.standard_error;
  };
  TempDirectory directory;
  const std::string layout = "oci:" + (directory.path() / "layout").native() + ":v1";
  skopeo("docker://" + server.host() + "/app:v1", layout);
  skopeo(layout, "docker://" + server.host() + "/copy:v1");
  EXPECT_EQ(session.client(server.host(), "copy").head_manifest("v1")->digest,
            session.client(server.host(), "app").head_manifest("v1")->digest);
}

}  // namespace
}  // namespace ctr
