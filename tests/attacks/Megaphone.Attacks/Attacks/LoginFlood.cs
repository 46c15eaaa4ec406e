using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>
/// Many logins a second that come to nothing: silent ones begin and say no more, failing ones have a wrong password. Meanwhile others log in, give up
/// after two seconds, and come back.
/// </summary>
/// <param name="name">The attack's name.</param>
/// <param name="fails">Whether the logins fail; else they are silent.</param>
/// <param name="addresses">How many addresses they come from.</param>
/// <param name="atOnce">Turns for logins; null: as many as there are by default.</param>
/// <param name="isBounded">Whether others are to log in within two seconds nevertheless.</param>
internal sealed class LoginFlood(string name, bool fails, int addresses, int? atOnce = null, bool isBounded = true) : IAttack
{
    /// <summary>For how long an attacker keeps a connection: longer than a turn lasts.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>After so long others give up for good, where that is no fault.</summary>
    private static readonly TimeSpan GivenUp = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(10);

    private static readonly byte[] Begin = Encoding.ASCII.GetBytes(XmppClient.Header);
    private static readonly byte[] WrongPassword = Encoding.ASCII.GetBytes(
        XmppClient.Header + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
        + Convert.ToBase64String("\0juliet\0not hers"u8) + "</auth>");

    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string Summary => $"up to 500 {(fails ? "failing" : "silent")} logins a second from {addresses} addresses, while others log in";

    /// <summary>ejabberd warns of each login that fails.</summary>
    public Scene Scene => new()
    {
        HasPeers = atOnce is null,
        Ecm = atOnce is null ? [] : [$"Ecm:Logins:AtOnce={atOnce}"],
        EjabberdLogs = fails ? "error" : null,
    };

    /// <inheritdoc/>
    public int MinActions => 100;

    /// <inheritdoc/>
    public bool IsSlow => true;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        long begun = 0;
        Task attack = AttackThread.RunAsync(() => begun = Flood(target.Clients, timing.LoginsPerSecond, end));

        // Where nothing else goes on, an answer takes a second at most.
        TimeSpan bound = Patience + timing.AnswerWithin - TimeSpan.FromSeconds(1);
        HonestLogins honest = await HonestLogins.MakeAsync(target.Clients, Patience, most: isBounded ? bound : GivenUp, end);
        await attack;
        return new Outcome(
            begun,
            string.Create(
                CultureInfo.InvariantCulture,
                $"{honest.Done} logins meanwhile: p99 {honest.Waits.P99:F0} ms, at most {honest.Waits.Longest:F0}, given up {honest.GivenUp} times"),
            isBounded && honest.Waits.P99 > bound.TotalMilliseconds ? "logins were held up" : null,
            Logins: honest);
    }

    private long Flood(IPEndPoint to, int perSecond, CancellationToken end)
    {
        Queue<(Socket Socket, long Until)> open = new();
        byte[] answer = new byte[4096];
        long began = Stopwatch.GetTimestamp(), count = 0;
        do
        {
            long due = (long)(Stopwatch.GetElapsedTime(began).TotalSeconds * perSecond);
            for (; count < due && !end.IsCancellationRequested; count++)
            {
                Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                try
                {
                    socket.Bind(new IPEndPoint(AddressOf((int)(count % addresses)), 0));
                    socket.Connect(to);
                    socket.Send(fails ? WrongPassword : Begin);
                    socket.Blocking = false;
                    open.Enqueue((socket, Environment.TickCount64 + (long)(fails ? Patience : Silence).TotalMilliseconds));
                }
                catch (SocketException)
                {
                    socket.Dispose();
                }
            }

            // The silent ones are closed when their time has come; the failing ones when they have been answered.
            for (int left = open.Count; left > 0 && (fails || open.Peek().Until <= Environment.TickCount64); left--)
            {
                (Socket Socket, long Until) one = open.Dequeue();
                if (one.Until > Environment.TickCount64 && !HasFailed(one.Socket, answer)) open.Enqueue(one);
                else one.Socket.Close(0);
            }
        }
        while (!end.WaitHandle.WaitOne(Rest));
        foreach ((Socket socket, _) in open) socket.Close(0);
        return count;
    }

    private static bool HasFailed(Socket socket, byte[] answer)
    {
        int read = socket.Receive(answer, SocketFlags.None, out SocketError error);
        if (error == SocketError.WouldBlock) return false;
        return error != SocketError.Success || read == 0 || answer.AsSpan(0, read).IndexOf("<failure"u8) >= 0;
    }

    private static IPAddress AddressOf(int number) => new([127, 30, (byte)(number / 250), (byte)(1 + (number % 250))]);
}
