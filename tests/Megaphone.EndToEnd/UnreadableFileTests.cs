using System.Runtime.Versioning;

namespace Megaphone.EndToEnd;

/// <summary>Certificates and keys that the process's user may not read are reported with the reason and a fix that works.</summary>
[SupportedOSPlatform("linux")]
public sealed class UnreadableFileTests : IDisposable
{
    private const string User = "nobody";

    private readonly TestCertificates _certificates = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-").FullName;
    private readonly string _binary;

    public UnreadableFileTests()
    {
        // Where that user can reach it.
        _binary = Path.Combine(_folder, "megaphone");
        File.Copy(Repository.Binary, _binary);
        Open(_folder);
        _certificates.Issue("server", ["localhost"]);
        Open(Path.GetDirectoryName(_certificates.AuthorityFile)!);
        (string certificate, string key) = _certificates.Files("server");
        foreach (string file in (string[])[_certificates.AuthorityFile, certificate, key]) Open(file);
    }

    /// <summary>Root may read everything, so these tests run as another user; any other user can make a file that it may not read.</summary>
    private static bool IsRoot => Environment.UserName == "root";

    private static string Who => IsRoot ? User : Environment.UserName;

    public void Dispose()
    {
        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("Ecm:Tls", "key")]
    [InlineData("Ecm:Tls", "certificate")]
    [InlineData("Ecm:Link:Tls", "key")]
    [InlineData("Ecm:Link:Tls", "authority")]
    [InlineData("Hub:Tls", "key")]
    [InlineData("Hub:Tls", "certificate")]
    public async Task An_unreadable_file_is_reported_with_its_user_and_the_suggested_fix_works(string section, string which)
    {
        string file = which switch
        {
            "key" => _certificates.Files("server").Key,
            "certificate" => _certificates.Files("server").Certificate,
            _ => _certificates.AuthorityFile,
        };
        File.SetUnixFileMode(file, UnixFileMode.None);

        foreach (string command in (string[])["run", "check"])
        {
            string said = await RunAsync(command, section, expected: 1);
            Assert.Contains($"{file}: permission denied: user {Who} (", said);
            Assert.Contains($"`chown {Who} {file} && chmod u+r {file}`", said);
            Assert.Contains(section, said);
            Assert.DoesNotContain("no reason given", said);
        }

        await ShellAsync($"chown {Who} {file} && chmod u+r {file}");
        await RunAsync("check", section, expected: 0);
    }

    [Fact]
    public async Task An_inaccessible_directory_is_reported()
    {
        string folder = Path.GetDirectoryName(_certificates.AuthorityFile)!;
        File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | (IsRoot ? UnixFileMode.UserExecute : UnixFileMode.None));
        string said = await RunAsync("check", "Hub:Tls", expected: 1);
        if (!IsRoot) File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        Assert.Contains($"permission denied: user {Who} (", said);
        Assert.Contains($"may not enter {folder}", said);
        await ShellAsync($"chmod o+x {folder}");
        await RunAsync("check", "Hub:Tls", expected: 0);
    }

    private static void Open(string path) => File.SetUnixFileMode(
        path,
        File.GetUnixFileMode(path) | UnixFileMode.GroupRead | UnixFileMode.OtherRead
            | (Directory.Exists(path) ? UnixFileMode.OtherExecute : 0));

    private static async Task ShellAsync(string command)
    {
        using ChildProcess shell = ChildProcess.Start(["/bin/sh", "-c", command]);
        Assert.Equal(0, await shell.EndAsync());
    }

    private async Task<string> RunAsync(string command, string section, int expected)
    {
        (string certificate, string key) = _certificates.Files("server");
        string[] files = [$"{section}:Certificate={certificate}", $"{section}:Key={key}"];
        string[] settings = section switch
        {
            "Ecm:Tls" =>
            [
                "Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Tls=direct", "Ecm:Link:To=127.0.0.1:6280", "Ecm:MaxClients=10",
                $"Ecm:Tls:Certificates:0:Certificate={certificate}", $"Ecm:Tls:Certificates:0:Key={key}",
            ],
            "Ecm:Link:Tls" =>
            [
                "Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Link:To=127.0.0.1:6280", "Ecm:MaxClients=10",
                .. files, $"{section}:Ca={_certificates.AuthorityFile}",
            ],
            _ => ["Hub:Listen=127.0.0.1:0", "Hub:MaxSessions=10", .. files, $"{section}:ClientCa={_certificates.AuthorityFile}"],
        };
        string[] launcher = IsRoot ? ["setpriv", $"--reuid={User}", "--regid=nogroup", "--clear-groups"] : [];
        using ChildProcess process = ChildProcess.Start(
            [.. launcher, _binary, command, .. MegaphoneProcess.Arguments([.. settings, "Admin:Listen=127.0.0.1:0"])]);
        int status = await process.EndAsync();
        Assert.True(status == expected, $"It ended with {status}, not {expected}:\n{process.Said}");
        return process.Said;
    }
}
