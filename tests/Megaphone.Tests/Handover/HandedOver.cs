using Megaphone.Handover;

namespace Megaphone.Tests.Handover;

/// <summary>Writes a state and reads it again, as two images of a process do.</summary>
internal static unsafe class HandedOver
{
    /// <summary>What is read of what was written, all of which is read.</summary>
    public static T Copy<T>(Action<StateWriter> write, Func<StateReader, T> read) => Read(Body(write), read);

    /// <summary>What was written, without a header.</summary>
    public static byte[] Body(Action<StateWriter> write)
    {
        using MemoryStream body = new();
        using StateWriter writer = new(body);
        write(writer);
        writer.Finish();
        return body.ToArray();
    }

    /// <summary>Reads a state that has no header.</summary>
    public static T Read<T>(byte[] body, Func<StateReader, T> read)
    {
        fixed (byte* start = body)
        {
            StateReader reader = new(start, body.Length);
            T value = read(reader);
            return reader.IsAtEnd ? value : throw new StateException("there is more");
        }
    }
}
