using System.Net;
using Megaphone.Ecm;
using Megaphone.Handover;
using Megaphone.Hub;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Microsoft.Extensions.Logging.Abstractions;

namespace Megaphone.Fuzz;

/// <summary>
/// The state that a process hands over to its next image: whatever is in it is either refused, or taken over and then written the same
/// each time; what was taken over breaks no invariant. The first byte says which part follows; the file's checksum would refuse nearly all of this.
/// </summary>
internal static unsafe class HandoverTarget
{
    private const int Places = 2048;
    private const int RingBytes = 4096;
    private const int MaxStanzaBytes = 4096;

    private static readonly EcmOptions Options = new()
    {
        Clients =
        [
            new ClientListenerOptions { Listen = new IPEndPoint(IPAddress.Loopback, 5222), MaxStanzaBytes = MaxStanzaBytes },
            new ClientListenerOptions { Listen = new IPEndPoint(IPAddress.Loopback, 5443), MaxStanzaBytes = MaxStanzaBytes, Web = new WebOptions() },
        ],
        Reactors = 1,
        MaxClients = Places,
        Connect = new LinkConnectOptions { To = [new("127.0.0.1", 6280)] },
        Link = new LinkOptions { Framing = LinkFraming.Stanza },
    };

    private static readonly ClientHandler Handler = NewHandler();

    public static void Run(byte[] input)
    {
        if (input.Length == 0) return;
        byte[] written;
        try
        {
            written = TakeOver(input[0], input[1..]);
        }
        catch (StateException refused)
        {
            Property.IsOneLine(refused.Message);
            return;
        }

        // Text and addresses may have been in another form; what we write is taken over as it is.
        Property.Holds(TakeOver(input[0], written).AsSpan().SequenceEqual(written), "what is taken over is written the same each time");
    }

    /// <returns>What is written of what was taken over.</returns>
    /// <exception cref="StateException">It was refused.</exception>
    public static byte[] TakeOver(byte part, byte[] body) => part switch
    {
        (byte)'h' => Head(body),
        (byte)'r' => Ring(body),
        (byte)'t' => Table(body),
        (byte)'l' => Link(body),
        (byte)'u' => Read(body, HubHead.Restore, (head, writer) => head.Save(writer)),
        (byte)'g' => Read(body, LinkRegistration.Restore, (registration, writer) => registration.Save(writer)),
        _ => File(body),
    };

    private static byte[] Head(byte[] body) => Read(body, EcmHead.Restore, (head, writer) => head.Save(writer));

    private static byte[] Link(byte[] body) => Read(body, LinkImage.Restore, (link, writer) => link.Save(writer));

    private static byte[] Ring(byte[] body) => Read(
        body,
        reader =>
        {
            SendRing ring = new(RingBytes, RingBytes / 4, () => { }, _ => { }, keepsSent: true);
            RingImage.Restore(ring, reader);
            Property.Holds(ring.FindViolation() is null, "a ring that is taken over breaks no invariant");
            return ring;
        },
        RingImage.Save);

    private static byte[] Table(byte[] body)
    {
        using ConnectionTable<EcmClient> table = new(0, Places);
        try
        {
            return Read(
                body,
                reader =>
                {
                    table.Restore(reader, Handler);
                    StalledQueue<EcmClient> stalled = new(table);
                    stalled.Restore(reader);
                    return stalled;
                },
                (stalled, writer) =>
                {
                    table.Save(writer, Handler);
                    stalled.Save(writer);
                });
        }
        finally
        {
            for (int index = 0; index < table.Used; index++)
            {
                table.Backlog(index).Release();
                table.Secured(index).Kept.Free();
                Handler.Release(table.IdAt(index), ref table.State(index));
            }
        }
    }

    /// <summary>The handler of all runs, each of which leaves nothing behind: reactors are too much to make for each.</summary>
    private static ClientHandler NewHandler()
    {
        RoleMetrics metrics = new(Role.Ecm);
        EcmLog log = new(NullLogger<EcmRole>.Instance);
        ClientHandler handler = new(Options, metrics, new EcmServers(1, log), log);
        ReactorOptions reactors = new()
        {
            Name = "fuzz",
            Reactors = Options.Reactors,
            MaxConnections = Options.MaxClients,
            HalfOpenTimeout = Options.HalfOpenTimeout,
            CloseRate = Options.CloseRate,
            Buffers = Options.Buffers,
            Liveness = Options.Liveness,
        };
        handler.Attach(new ReactorGroup<EcmClient>(handler, reactors, metrics, accepted: handler, outgoing: handler), number => $"{number}");
        handler.UseListeners([0, 1]);
        return handler;
    }

    /// <summary>A file as it is, with a header that hardly ever is right.</summary>
    private static byte[] File(byte[] body)
    {
        fixed (byte* start = body) StateFile.Read(start, body.Length, reader => Property.Holds(!reader.IsAtEnd, "a state has content"));
        return body;
    }

    private static byte[] Read<T>(byte[] body, Func<StateReader, T> read, Action<T, StateWriter> write)
    {
        fixed (byte* start = body)
        {
            StateReader reader = new(start, body.Length);
            T value = read(reader);
            reader.Check(reader.IsAtEnd, "there is more");
            using MemoryStream again = new();
            using StateWriter writer = new(again);
            write(value, writer);
            writer.Finish();
            return again.ToArray();
        }
    }
}
