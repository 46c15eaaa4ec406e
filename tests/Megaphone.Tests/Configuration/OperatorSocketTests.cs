using System.Collections;
using Megaphone.Configuration;
using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Configuration;

/// <summary>Where the operator's socket is, for the service and for who looks for it.</summary>
public sealed class OperatorSocketTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Theory]
    [InlineData("""{ "Admin": { "Socket": "/a/b.sock" } }""", null, "/a/b.sock")]
    [InlineData("""{ "Admin": { "Socket": "/a/b.sock" } }""", "/run/megaphone", "/a/b.sock")]
    [InlineData("{}", "/run/megaphone:/run/other", "/run/megaphone/admin.sock")]
    public void Both_find_the_same(string json, string? folders, string path)
    {
        File.WriteAllText(_file, json);
        Hashtable environment = Environment(folders);
        Assert.Equal(path, Load(environment, out List<Problem> problems).Admin!.Socket);
        Assert.Empty(problems);
        Assert.Equal(path, SettingsLoader.FindSocket(_file, environment, None));
    }

    [Fact]
    public void A_service_that_nobody_gives_a_socket_has_none()
    {
        File.WriteAllText(_file, "{}");
        Assert.Null(Load(Environment(null), out _).Admin!.Socket);
    }

    [Fact]
    public void A_file_that_is_broken_keeps_nobody_from_finding_the_usual_one()
    {
        File.WriteAllText(_file, "{ no JSON");
        Assert.Equal("/run/megaphone/admin.sock", SettingsLoader.FindSocket(_file, Environment(null), None));
        Assert.Equal("/x/admin.sock", SettingsLoader.FindSocket(_file, Environment("/x"), None));
    }

    [Fact]
    public void A_path_that_is_too_long_for_the_kernel_is_a_problem()
    {
        File.WriteAllText(_file, $$"""{ "Admin": { "Socket": "/{{new string('a', 107)}}" } }""");
        Load(Environment(null), out List<Problem> problems);
        Assert.Contains("must not be longer than 107 bytes", Assert.Single(problems).ToString(), StringComparison.Ordinal);
    }

    private static Dictionary<string, GivenValue> None => [];

    private static Hashtable Environment(string? folders) => folders is null ? [] : new Hashtable { ["RUNTIME_DIRECTORY"] = folders };

    private Settings Load(IDictionary environment, out List<Problem> problems)
    {
        problems = [];
        return SettingsLoader.Load(_file, environment, None, problems);
    }
}
