using System.Net;

namespace Megaphone.EndToEnd.Support;

/// <summary>A network namespace joined to this one by a cable that can be cut: for clients that vanish without a word.</summary>
/// <remarks>Needs root, or a sudo that does not ask.</remarks>
internal sealed class OtherNetwork : IAsyncDisposable
{
    private static int _count;

    private readonly string _name;

    private OtherNetwork(string name, int subnet)
    {
        _name = name;
        Here = IPAddress.Parse($"10.213.{subnet}.1");
        There = IPAddress.Parse($"10.213.{subnet}.2");
    }

    /// <summary>This end's address, for listeners.</summary>
    public IPAddress Here { get; }

    /// <summary>The other end's address.</summary>
    public IPAddress There { get; }

    /// <summary>A command that executes another one there.</summary>
    public IReadOnlyList<string> Launcher => [.. Command($"netns exec {_name}")];

    /// <summary>Makes it.</summary>
    public static async Task<OtherNetwork> CreateAsync()
    {
        int subnet = (Environment.ProcessId + Interlocked.Increment(ref _count)) % 256;
        OtherNetwork network = new($"mega{subnet}", subnet);
        try
        {
            await IpAsync($"netns add {network._name}");
            await IpAsync($"link add {network._name} type veth peer name {network._name} netns {network._name}");
            await IpAsync($"address add {network.Here}/30 dev {network._name}");
            await IpAsync($"link set {network._name} up");
            await network.IpThereAsync($"address add {network.There}/30 dev {network._name}");
            await network.IpThereAsync($"link set {network._name} up");
            return network;
        }
        catch
        {
            await network.DisposeAsync();
            throw;
        }
    }

    /// <summary>Connects a client from there, which sends a line, if there is one, and then holds the connection.</summary>
    public async Task<ChildProcess> ConnectAsync(IPEndPoint to, params string[] line)
    {
        ChildProcess client = ChildProcess.Start([.. Launcher, "/usr/bin/python3",
            Path.Combine(Repository.Root, "tests/peers/idle_client.py"), to.ToString(), .. line]);
        await client.LineAsync("connected ");
        return client;
    }

    /// <summary>Cuts the cable: neither end gets anything from the other, nor a notice of it.</summary>
    public Task CutAsync() => IpThereAsync($"link set {_name} down");

    /// <summary>Mends it.</summary>
    public Task MendAsync() => IpThereAsync($"link set {_name} up");

    /// <summary>Has everything lost on the way, in both directions; the cable is as it was, and nothing tells this end.</summary>
    public Task LoseAllAsync() => IpThereAsync($"address delete {There}/30 dev {_name}");

    /// <summary>Loses nothing any more.</summary>
    public Task CarryAsync() => IpThereAsync($"address add {There}/30 dev {_name}");

    /// <summary>Removes it.</summary>
    public async ValueTask DisposeAsync()
    {
        // The end in this namespace first: the other one would stay as long as a process is in its namespace.
        await RunAsync($"link delete {_name}");
        await RunAsync($"netns delete {_name}");
    }

    private Task IpThereAsync(string arguments) => IpAsync($"-netns {_name} {arguments}");

    private static async Task IpAsync(string arguments)
    {
        (int status, string said) = await RunAsync(arguments);
        Assert.True(status == 0, $"ip {arguments}: {said}");
    }

    private static async Task<(int Status, string Said)> RunAsync(string arguments)
    {
        using ChildProcess ip = ChildProcess.Start([.. Command(arguments)]);
        int status = await ip.EndAsync();
        return (status, ip.Said);
    }

    private static IEnumerable<string> Command(string arguments) =>
        [.. Environment.UserName == "root" ? Array.Empty<string>() : ["sudo", "--non-interactive"], "ip", .. arguments.Split(' ')];
}
