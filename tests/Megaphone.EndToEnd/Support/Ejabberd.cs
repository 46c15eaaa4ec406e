using System.Globalization;
using System.Net;

namespace Megaphone.EndToEnd.Support;

/// <summary>Debian's ejabberd, started in a folder of its own by <c>tests/ejabberd/ejabberd.sh</c>.</summary>
internal sealed class Ejabberd : IAsyncDisposable
{
    private const string Password = "correct-horse";

    private static readonly string[] Names = ["juliet", "romeo"];

    // Not below the temporary folder's own subfolders for root: the user ejabberd has to reach it.
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"megaphone-ejabberd-{Environment.ProcessId}-{Guid.NewGuid():N}");
    private readonly Dictionary<string, string> _settings = [];

    /// <summary>Where it takes connections that begin with a PROXY header.</summary>
    public IPEndPoint ProxyListener => new(IPAddress.Loopback, int.Parse(_settings["PROXY_PORT"], CultureInfo.InvariantCulture));

    /// <summary>The process id of its Erlang VM.</summary>
    public int Id => int.Parse(_settings["PID"], CultureInfo.InvariantCulture);

    /// <summary>Starts it, with accounts for juliet and romeo.</summary>
    public static async Task<Ejabberd> StartAsync()
    {
        Ejabberd ejabberd = new();
        try
        {
            await ejabberd.StartAgainAsync();
            return ejabberd;
        }
        catch
        {
            await ejabberd.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts it after it was killed, on the same ports and with the same accounts.</summary>
    public async Task StartAgainAsync()
    {
        foreach (string line in await RunAsync("start"))
        {
            if (line.Split('=', 2) is [string name, string value]) _settings[name] = value;
        }

        foreach (string name in Names)
        {
            // Accounts that were made just before it was killed may not have reached the disk.
            (int status, _) = await TryAsync("ctl", "check_account", name, "localhost");
            if (status != 0) await ControlAsync("register", name, "localhost", Password);
        }
    }

    /// <summary>What <c>ejabberdctl</c> says to a command.</summary>
    public Task<IReadOnlyCollection<string>> ControlAsync(params string[] command) => RunAsync("ctl", command);

    /// <summary>Lets juliet (from 127.0.0.2) and romeo (from 127.0.0.3) talk to each other; they stay logged in.</summary>
    /// <param name="clients">The ECM's address.</param>
    /// <param name="startTls"><c>required</c> or <c>disabled</c>.</param>
    /// <param name="count">How many messages each says.</param>
    /// <param name="pause">Seconds between one pair of messages and the next.</param>
    /// <returns>The program, whose first line of output is its verdict; it ends when its standard input does.</returns>
    public ChildProcess Chat(IPEndPoint clients, string startTls, int count, double pause = 0) => ChildProcess.Start(
        ["/usr/bin/python3", Path.Combine(Repository.Root, "tests/ejabberd/chat.py"), "--host", $"{clients.Address}", "--port", $"{clients.Port}",
            "--password", Password, Password, "--ca", _settings["CERTIFICATE"], "--starttls", startTls, "--count", $"{count}",
            "--pause", pause.ToString(CultureInfo.InvariantCulture), "--timeout", "25", "--hold"]);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!Directory.Exists(_folder)) return;
        if (File.Exists(Path.Combine(_folder, "settings"))) await RunAsync("stop");
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<IReadOnlyCollection<string>> RunAsync(string command, params string[] arguments)
    {
        (int status, ChildProcess script) = await TryAsync(command, arguments);
        Assert.True(status == 0, $"ejabberd.sh {command} {string.Join(' ', arguments)} ended with {status}:\n{script.Said}");
        return script.Output;
    }

    private async Task<(int Status, ChildProcess Script)> TryAsync(string command, params string[] arguments)
    {
        using ChildProcess script = ChildProcess.Start(
            [Path.Combine(Repository.Root, "tests/ejabberd/ejabberd.sh"), command, _folder, .. arguments]);
        return (await script.EndAsync(), script);
    }
}
