using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Megaphone.EndToEnd.Support;

/// <summary>Debian's ejabberd, started in a folder of its own by <c>tests/ejabberd/ejabberd.sh</c>.</summary>
internal sealed class Ejabberd : IAsyncDisposable
{
    /// <summary>The password of every account.</summary>
    public const string Password = "correct-horse";

    /// <summary>What Erlang that cannot be evaluated comes to begins with this.</summary>
    private const string BadRpc = "{badrpc";

    /// <summary>More of its configuration, which ends with the list of its modules: rooms, and logins without an account.</summary>
    private const string More = "  mod_muc: {}\nauth_method: [mnesia, anonymous]\nanonymous_protocol: sasl_anon";

    /// <summary>The module, which all of them use: to build it takes as long as to start ejabberd.</summary>
    private static readonly Lazy<Task<string>> Module = new(BuildModuleAsync);

    // Not below the temporary folder's own subfolders for root: the user ejabberd has to reach it.
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"megaphone-ejabberd-{Environment.ProcessId}-{Guid.NewGuid():N}");
    private readonly Dictionary<string, string> _settings = [];

    /// <summary>The script has bounds of its own, and shows ejabberd's log when one is reached: this one is longer.</summary>
    private static readonly TimeSpan ScriptLimit = TimeSpan.FromMinutes(8);

    private readonly SemaphoreSlim _evaluating = new(1);
    private int _questions;
    private Dictionary<string, string?> _made = [];
    private ChildProcess? _evaluator;

    /// <summary>Its listener for connections that begin with a PROXY header.</summary>
    public IPEndPoint ProxyListener => new(IPAddress.Loopback, int.Parse(_settings["PROXY_PORT"], CultureInfo.InvariantCulture));

    /// <summary>Its listener for clients; they may use STARTTLS.</summary>
    public IPEndPoint DirectListener => new(IPAddress.Loopback, int.Parse(_settings["DIRECT_PORT"], CultureInfo.InvariantCulture));

    /// <summary>Its listener for clients with TLS from the first byte on; only with <see cref="StartForAnybodyAsync"/>.</summary>
    public IPEndPoint TlsListener => new(IPAddress.Loopback, int.Parse(_settings["TLS_PORT"], CultureInfo.InvariantCulture));

    /// <summary>The module ejabberd_megaphone's listener for links; only with the module.</summary>
    public IPEndPoint LinkListener => new(IPAddress.Loopback, int.Parse(_settings["LINK_PORT"], CultureInfo.InvariantCulture));

    /// <summary>The file of the certificate that its own listeners show.</summary>
    public string Certificate => _settings["CERTIFICATE"];

    /// <summary>The process id of its Erlang VM.</summary>
    public int Id => int.Parse(_settings["PID"], CultureInfo.InvariantCulture);

    /// <summary>The folder of its log files, rotated ones included.</summary>
    public string LogFolder => Path.Combine(_folder, "logs");

    /// <summary>Its log lines at warning level or above since it was started, in order.</summary>
    public IReadOnlyList<string> Complaints =>
    [
        .. File.ReadLines(Path.Combine(LogFolder, "ejabberd.log"))
            .Where(line => line.Contains("[warning]") || line.Contains("[error]") || line.Contains("[critical]")),
    ];

    /// <summary>The bytes of its log.</summary>
    public long LogBytes => new FileInfo(Path.Combine(_folder, "logs/ejabberd.log")).Length;

    /// <summary>The lines of its log.</summary>
    public IEnumerable<string> Log => File.ReadLines(Path.Combine(_folder, "logs/ejabberd.log"));

    /// <summary>Lets the module write lines that it has written often enough in the last half minute.</summary>
    public Task ForgetLogLimitsAsync() => EvaluateAsync("ets:delete_all_objects(ejabberd_megaphone_log)");

    /// <summary>Starts it, with accounts for juliet and romeo.</summary>
    public static async Task<Ejabberd> StartAsync() => await StartAsync(new Dictionary<string, string?>());

    /// <summary>Starts it without the module, with logins without an account (SASL ANONYMOUS), and a listener of its own for TLS.</summary>
    public static Task<Ejabberd> StartForAnybodyAsync()
    {
        Dictionary<string, string?> made = new() { ["EJABBERD_TLS"] = "1", ["EJABBERD_MORE"] = More };
        return StartAsync(made);
    }

    /// <summary>Starts it with the module ejabberd_megaphone, rooms, and logins without an account (SASL ANONYMOUS).</summary>
    /// <param name="listener">Lines for the module's listener, like <c>hibernate_after: 1</c>.</param>
    public static Task<Ejabberd> StartWithModuleAsync(params string[] listener) => StartAsync(Made(listener));

    /// <summary>The same with one more of ejabberd's own modules: some do not work when they come with a new configuration.</summary>
    /// <param name="own">That module, like <c>mod_fail2ban: {}</c>.</param>
    /// <param name="listener">Lines for the module's listener.</param>
    public static Task<Ejabberd> StartWithModulesAsync(string own, params string[] listener)
    {
        Dictionary<string, string?> made = Made(listener);
        made["EJABBERD_MORE"] = $"  {own}\n{made["EJABBERD_MORE"]}";
        return StartAsync(made);
    }

    private static Dictionary<string, string?> Made(string[] listener) => new()
    {
        ["EJABBERD_MEGAPHONE"] = "1",
        ["EJABBERD_LINK_MORE"] = string.Join('\n', ["backlog: 1024", .. listener]),
        ["EJABBERD_MORE"] = More,
    };

    /// <summary>Starts a cluster of nodes with the module, on one machine.</summary>
    /// <param name="count">How many.</param>
    /// <param name="listener">Lines for the module's listener.</param>
    public static async Task<IReadOnlyList<Ejabberd>> StartClusterAsync(int count, params string[] listener)
    {
        List<Ejabberd> nodes = [];
        for (int i = 1; i <= count; i++)
        {
            Dictionary<string, string?> made = Made(listener);
            made["EJABBERD_NODE"] = $"127.0.0.{i}";
            if (nodes.Count > 0) made["EJABBERD_JOIN"] = nodes[0]._folder;
            nodes.Add(await StartAsync(made));
        }

        return nodes;
    }

    /// <summary>Ends it with SIGKILL, as a crash would.</summary>
    public async Task KillAsync()
    {
        _evaluator?.Dispose();
        _evaluator = null;
        using Process vm = Process.GetProcessById(Id);
        vm.Kill();
        await BoundedWait.WithinAsync(vm.WaitForExitAsync(), "the end of an Erlang VM");
    }

    /// <summary>Ends it in order; it can be started again.</summary>
    public async Task StopAsync()
    {
        _evaluator?.Dispose();
        _evaluator = null;
        await RunAsync("stop");
    }

    private static async Task<Ejabberd> StartAsync(Dictionary<string, string?> made)
    {
        // Each with ports of its own, so that one that was killed finds them free when it is restarted.
        made["EJABBERD_PROXY_PORT"] = Random.Shared.Next(15_300, 24_000).ToString(CultureInfo.InvariantCulture);
        if (made.ContainsKey("EJABBERD_MEGAPHONE")) made["EJABBERD_MODULE"] = await Module.Value;
        Ejabberd ejabberd = new() { _made = made };
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

    /// <summary>Starts it after it was killed or stopped, on the same ports and with the same accounts.</summary>
    public async Task StartAgainAsync()
    {
        foreach (string line in await RunAsync("start"))
        {
            if (line.Split('=', 2) is [string name, string value]) _settings[name] = value;
        }

        // Accounts that were made just before it was killed may not have reached the disk.
        string made = await EvaluateAsync(
            $$"""[ejabberd_auth:try_register(Name, <<"localhost">>, <<"{{Password}}">>) || Name <- [<<"juliet">>, <<"romeo">>]]""");
        if (made.Replace("{error,exists}", "ok", StringComparison.Ordinal) != "[ok,ok]") throw new InvalidOperationException($"accounts: {made}");
    }

    /// <summary>The output of an <c>ejabberdctl</c> command.</summary>
    public async Task<IReadOnlyCollection<string>> ControlAsync(params string[] command)
    {
        string arguments = string.Join(", ", command.Select(argument => $"\"{argument.Replace("\\", "\\\\").Replace("\"", "\\\"")}\""));
        (string[] said, string status) = await AskAsync($"ejabberd_ctl:process([{arguments}])");
        return status == "0" ? said : throw new InvalidOperationException($"{command[0]}: {status}\n{string.Join('\n', said)}");
    }

    /// <summary>Evaluates Erlang in it, <c>ets:info(session, size)</c> for instance.</summary>
    /// <returns>The value, as Erlang writes it.</returns>
    public async Task<string> EvaluateAsync(string erlang)
    {
        (_, string value) = await AskAsync(erlang);
        return value.StartsWith(BadRpc, StringComparison.Ordinal) ? throw new InvalidOperationException($"{erlang}: {value}") : value;
    }

    /// <summary>Evaluates Erlang in it.</summary>
    /// <returns>What that has printed, and its value.</returns>
    private async Task<(string[] Said, string Value)> AskAsync(string erlang)
    {
        await BoundedWait.WithinAsync(_evaluating.WaitAsync(), "the question before");
        try
        {
            // One VM for all calls: starting an Erlang VM takes longer than most calls. What is logged in the meantime may come before the value and
            // after it, so that the value is marked.
            _evaluator ??= ChildProcess.Start(Script("eval"), environment: _made);
            int answers = _evaluator.Output.Count;
            string mark = $"{{answer{++_questions},";
            await _evaluator.WriteLineAsync($"{mark} begin {erlang} end}}.");
            string[] said = [];
            int last = -1;
            await BoundedWait.UntilAsync(
                () =>
                {
                    said = [.. _evaluator.Output.Skip(answers)];
                    last = Array.FindIndex(said, line => IsValue(line, mark));
                    return Task.FromResult(last >= 0);
                },
                () => $"what {erlang} is; it was said\n{_evaluator.Said}");
            return (said[..last], said[last].StartsWith(mark, StringComparison.Ordinal) ? said[last][mark.Length..^1] : said[last]);
        }
        finally
        {
            _evaluating.Release();
        }
    }

    private static bool IsValue(string line, string mark) =>
        line.StartsWith(mark, StringComparison.Ordinal) || line.StartsWith(BadRpc, StringComparison.Ordinal);

    /// <summary>Evaluates Erlang whose value is a whole number.</summary>
    public async Task<long> NumberAsync(string erlang) => long.Parse(await EvaluateAsync(erlang), CultureInfo.InvariantCulture);

    /// <summary>Waits until some Erlang has this value.</summary>
    public async Task ComesToAsync(string value, string erlang)
    {
        string last = "";
        await BoundedWait.UntilAsync(async () => (last = await EvaluateAsync(erlang)) == value, () => $"{erlang} is {last}, not {value}");
    }

    /// <summary>Bytes that are in use after all garbage was collected, as Erlang counts.</summary>
    public Task<long> MemoryAsync() => NumberAsync("ok = ejabberd_admin:gc(), erlang:memory(total)");

    /// <summary>Changes its configuration, and reloads it.</summary>
    public async Task ReconfigureAsync(Func<string, string> change)
    {
        string file = Path.Combine(_folder, "ejabberd.yml");
        await File.WriteAllTextAsync(file, change(await File.ReadAllTextAsync(file)));
        await ControlAsync("reload_config");
    }

    /// <summary>Adds a listener on a port of its own.</summary>
    /// <param name="options">Its options, like <c>module: ejabberd_c2s</c>.</param>
    /// <returns>Its address, and a function that removes it.</returns>
    public async Task<(IPEndPoint Address, Func<Task> Remove)> AddListenerAsync(params string[] options)
    {
        IPEndPoint address = FreeAddress();
        string entry = $"  - {{ port: {address.Port}, ip: \"127.0.0.1\", {string.Join(", ", options)} }}\n";
        await ReconfigureAsync(configuration => configuration.Replace("\nlisten:\n", $"\nlisten:\n{entry}"));
        return (address, () => ReconfigureAsync(configuration => configuration.Replace(entry, "")));
    }

    /// <summary>Lets juliet (from 127.0.0.2) and romeo (from 127.0.0.3) talk to each other; they stay logged in.</summary>
    /// <param name="clients">The ECM's address.</param>
    /// <param name="startTls"><c>required</c> or <c>disabled</c>; or <c>direct</c>, for TLS from the first byte on.</param>
    /// <param name="count">How many messages each user sends.</param>
    /// <param name="pause">Seconds between one pair of messages and the next.</param>
    /// <param name="authority">The certificate that they trust; null: ejabberd's own.</param>
    /// <returns>The program, whose first line of output is its result; it ends when its standard input does.</returns>
    public ChildProcess Chat(IPEndPoint clients, string startTls, int count, double pause = 0, string? authority = null) => ChildProcess.Start(
        ["/usr/bin/python3", Path.Combine(Repository.Root, "tests/ejabberd/chat.py"), "--host", $"{clients.Address}", "--port", $"{clients.Port}",
            "--password", Password, Password, "--ca", authority ?? Certificate, "--starttls", startTls, "--count", $"{count}",
            "--pause", pause.ToString(CultureInfo.InvariantCulture), "--timeout", "80", "--hold"]);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _evaluator?.Dispose();
        _evaluating.Dispose();
        if (!Directory.Exists(_folder)) return;
        if (File.Exists(Path.Combine(_folder, "settings"))) await RunAsync("kill");
        Directory.Delete(_folder, recursive: true);
    }

    private Task<IReadOnlyCollection<string>> RunAsync(string command) => RunAsync(Script(command), _made);

    private static async Task<IReadOnlyCollection<string>> RunAsync(string[] command, Dictionary<string, string?>? environment = null)
    {
        using ChildProcess script = ChildProcess.Start(command, environment: environment);
        int status = await script.EndAsync(ScriptLimit);
        return status == 0
            ? script.Output
            : throw new InvalidOperationException($"{string.Join(' ', command)} ended with {status}:\n{script.Said}");
    }

    private string[] Script(string command) => [Path.Combine(Repository.Root, "tests/ejabberd/ejabberd.sh"), command, _folder];

    private static async Task<string> BuildModuleAsync()
    {
        string folder = Path.Combine(Repository.Root, "artifacts/ejabberd_megaphone");
        // By the compiler of the distribution whose ejabberd is used: that of another may write what this one cannot load.
        string[] within = Environment.GetEnvironmentVariable("EJABBERD_ROOT") is { } root ? ["chroot", root] : [];
        await RunAsync([.. within, Path.Combine(Repository.Root, "src/ejabberd_megaphone/build.sh"), folder]);
        return folder;
    }

    private static IPEndPoint FreeAddress()
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }
}
