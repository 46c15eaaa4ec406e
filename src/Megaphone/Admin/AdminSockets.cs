using System.Net;
using Megaphone.Configuration;
using Megaphone.Handover;
using Megaphone.Interop;

namespace Megaphone.Admin;

/// <summary>The sockets on which an admin endpoint listens, as they are handed over.</summary>
/// <param name="Configured">The address as it was configured; null: there is no endpoint.</param>
/// <param name="Real">The address with the real port.</param>
/// <param name="Descriptor">The socket that listens there; below 0: none, or not told.</param>
/// <param name="Path">The path of the operator's socket; null: there is none.</param>
/// <param name="PathDescriptor">The socket that listens there; below 0: none, or not told.</param>
internal sealed record AdminSockets(IPEndPoint? Configured, IPEndPoint? Real, int Descriptor, string? Path, int PathDescriptor)
{
    /// <summary>None.</summary>
    public static AdminSockets None { get; } = new(null, null, -1, null, -1);

    /// <summary>Whether there is one for an address.</summary>
    public bool Has(EndPoint address) => address.Equals(Configured) || address.Equals(Real);

    /// <summary>Writes them.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="isAlone">Whether the sockets stay here.</param>
    public void Save(StateWriter writer, bool isAlone = false)
    {
        writer.WriteText(Configured?.ToString());
        if (Configured is not null) writer.WriteText(Real!.ToString());
        writer.WriteText(Path);
        foreach (int descriptor in (ReadOnlySpan<int>)[Descriptor, PathDescriptor])
        {
            if (isAlone) writer.Write(-1);
            else writer.WriteDescriptor(descriptor);
        }
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static AdminSockets Restore(StateReader reader)
    {
        const string What = "the admin endpoint";
        IPEndPoint? configured = null, real = null;
        if (reader.ReadText(What) is { } address)
        {
            reader.Check(IPEndPoint.TryParse(address, out configured), What);
            real = reader.ReadEndPoint(What);
        }

        string? path = reader.ReadText(What);
        return new AdminSockets(configured, real, ReadDescriptor(reader), path, ReadDescriptor(reader));
    }

    /// <summary>Closes those that are not configured any more.</summary>
    /// <returns>Those that are.</returns>
    public AdminSockets Release(AdminOptions? options)
    {
        bool keepsAddress = options is not null && Has(options.Listen), keepsPath = options?.Socket is not null && options.Socket == Path;
        if (!keepsAddress && Descriptor >= 0) _ = Libc.Close(Descriptor);
        if (!keepsPath && PathDescriptor >= 0)
        {
            _ = Libc.Close(PathDescriptor);
            OperatorSocket.Remove(Path!);
        }

        return this with { Descriptor = keepsAddress ? Descriptor : -1, PathDescriptor = keepsPath ? PathDescriptor : -1 };
    }

    private static int ReadDescriptor(StateReader reader)
    {
        int descriptor = reader.Read<int>();
        if (descriptor >= 0) reader.Claim(descriptor, "the admin endpoint's descriptor");
        return descriptor;
    }
}
