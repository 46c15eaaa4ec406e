using System.Net;
using System.Net.Sockets;
using System.Text;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Reactors that run, with a listener, a handler to look into, and clients. What they leave is checked at the end.</summary>
internal sealed class TestReactors : IDisposable
{
    private readonly List<Socket> _clients = [];
    private bool _isStopped;

    public TestReactors(
        int reactors = 1, BufferOptions? buffers = null, int closeRate = 0, TimeSpan? halfOpen = null, TimeSpan? connect = null,
        TimeSpan admit = default, TimeSpan look = default, int maxConnections = 10_000, bool start = true)
    {
        Options = new ReactorOptions
        {
            Name = "test",
            Reactors = reactors,
            MaxConnections = maxConnections,
            HalfOpenTimeout = halfOpen ?? TimeSpan.FromMinutes(1),
            AdmitTimeout = admit,
            LookInterval = look,
            ConnectTimeout = connect ?? TimeSpan.FromMinutes(1),
            CloseRate = closeRate,
            Buffers = buffers ?? new BufferOptions(),
            Liveness = new TcpLivenessOptions(),
        };
        Group = new ReactorGroup<TestState>(Handler, Options, Metrics, accepted: Handler, outgoing: Handler);
        Address = (IPEndPoint)Group.Listen(0, new IPEndPoint(IPAddress.Loopback, 0), 4096).Listening;
        if (start) Group.Start();
    }

    public TestHandler Handler { get; } = new();

    public ReactorOptions Options { get; }

    public RoleMetrics Metrics { get; } = new(Role.Ecm);

    public ReactorGroup<TestState> Group { get; }

    public IPEndPoint Address { get; }

    /// <summary>A client and what the handler knows of it. One at a time, so that they belong together.</summary>
    public (Socket Client, TestConnection Connection) Connect(int receiveBuffer = 0)
    {
        Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (receiveBuffer > 0) client.ReceiveBufferSize = receiveBuffer;
        client.ReceiveTimeout = client.SendTimeout = (int)BoundedWait.Limit.TotalMilliseconds;
        client.NoDelay = true;
        client.Connect(Address);
        _clients.Add(client);
        return (client, Handler.NextAccepted());
    }

    /// <summary>Begins a connection of our own, with the addresses to try in order.</summary>
    public TestConnection ConnectTo(params IPEndPoint[] addresses)
    {
        TestConnection connection = new() { Owner = 5 };
        foreach (IPEndPoint other in addresses[1..]) connection.Others.Enqueue(new NativeAddress(other));
        if (!Group.TryConnect(new NativeAddress(addresses[0]), connection.Owner, Handler.Register(connection), out ConnectionId id))
            throw new InvalidOperationException("The table is full.");
        connection.Id = id;
        return connection;
    }

    public bool Send(TestConnection connection, string text) => Send(connection, Encoding.ASCII.GetBytes(text));

    public bool Send(TestConnection connection, byte[] bytes) => Group.Send(connection.Id, connection.Owner, bytes);

    public void Stop()
    {
        if (!_isStopped) Group.Stop();
        _isStopped = true;
    }

    /// <summary>Others have taken over the connections: they are not closed here.</summary>
    public void Forget() => _isStopped = true;

    /// <summary>Reads exactly so many bytes.</summary>
    public static byte[] Read(Socket socket, int count)
    {
        byte[] bytes = new byte[count];
        for (int there = 0, got; there < count; there += got)
        {
            if ((got = socket.Receive(bytes, there, count - there, SocketFlags.None)) == 0)
                throw new EndOfStreamException($"The stream ended after {there} of {count} bytes.");
        }

        return bytes;
    }

    /// <summary>Reads exactly so many characters.</summary>
    public static string ReadText(Socket socket, int count) => Encoding.ASCII.GetString(Read(socket, count));

    /// <summary>Reads until the stream ends.</summary>
    public static byte[] ReadToEnd(Socket socket)
    {
        using MemoryStream all = new();
        byte[] buffer = new byte[64 << 10];
        for (int got; (got = socket.Receive(buffer)) > 0;) all.Write(buffer, 0, got);
        return all.ToArray();
    }

    public void Dispose()
    {
        string? violation = _isStopped ? null : Group.FindViolation();
        Stop();
        foreach (Socket client in _clients) client.Dispose();
        Assert.Null(violation);
    }
}
