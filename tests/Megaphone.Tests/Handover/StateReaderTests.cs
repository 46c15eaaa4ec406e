using FsCheck;
using FsCheck.Fluent;
using Megaphone.Handover;
using Megaphone.Interop;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Megaphone.Tests.Handover;

/// <summary>What was written is read; what was not is refused, and never believed.</summary>
public class StateReaderTests
{
    [Fact]
    public void What_was_written_is_read() => FsCheck.Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<(byte[] Bytes, long Number, string? Text, bool Flag)>(one =>
        {
            (byte[] bytes, long number, string? text, bool flag) = one;
            string? valid = text is null ? null : new string([.. text.Where(letter => !char.IsSurrogate(letter))]);
            HandedOver.Copy(
                writer =>
                {
                    writer.WriteBytes(bytes);
                    writer.Write(number);
                    writer.WriteText(valid);
                    writer.Write(flag);
                },
                reader =>
                {
                    Assert.Equal(bytes, reader.ReadBytes(bytes.Length, "bytes"));
                    Assert.Equal(number, reader.Read<long>());
                    Assert.Equal(valid, reader.ReadText("a text", 1 << 20));
                    Assert.Equal(flag, reader.ReadFlag());
                    return true;
                });
        }));

    [Fact]
    public void What_is_larger_than_the_buffer_is_written_whole()
    {
        byte[] much = new byte[3 << 20];
        new Random(1).NextBytes(much);
        Assert.Equal(much, HandedOver.Copy(
            writer =>
            {
                writer.Write((byte)1);
                writer.WriteBytes(much);
            },
            reader =>
            {
                reader.Read<byte>();
                return reader.ReadBytes(much.Length, "much").ToArray();
            }));
    }

    [Fact]
    public void A_state_that_ends_too_soon_is_refused_wherever_that_is()
    {
        byte[] body = HandedOver.Body(Write);
        for (int length = 0; length < body.Length; length++)
            Assert.Throws<StateException>(() => HandedOver.Read(body[..length], Read));
        Assert.True(HandedOver.Read(body, Read));
    }

    [Fact]
    public void A_file_of_which_one_bit_is_wrong_is_refused()
    {
        int file = StateFile.Write(Write, out _);
        try
        {
            StateFile.Read(file, reader => Read(reader));
            using SafeFileHandle handle = new(file, ownsHandle: false);
            byte[] content = new byte[RandomAccess.GetLength(handle)];
            RandomAccess.Read(handle, content, 0);
            for (int bit = 0; bit < 8 * content.Length; bit++)
            {
                byte[] changed = [(byte)(content[bit / 8] ^ (1 << (bit % 8)))];
                RandomAccess.Write(handle, changed, bit / 8);
                Assert.Throws<StateException>(() => StateFile.Read(file, reader => Read(reader)));
                RandomAccess.Write(handle, content.AsSpan(bit / 8, 1), bit / 8);
            }
        }
        finally
        {
            StateFile.Close(file);
        }
    }

    [Fact]
    public void A_file_without_a_header_or_with_more_than_is_read_is_refused()
    {
        int empty = Libc.CreateMemoryFile("empty", Libc.MemoryFileCloseOnExec), longer = StateFile.Write(Write, out _);
        Assert.Contains("no header", Assert.Throws<StateException>(() => StateFile.Read(empty, _ => { })).Message, StringComparison.Ordinal);
        Assert.Contains("longer", Assert.Throws<StateException>(() => StateFile.Read(longer, _ => { })).Message, StringComparison.Ordinal);
        StateFile.Close(empty);
        StateFile.Close(longer);
    }

    [Fact]
    public void A_descriptor_goes_to_one_only_and_never_is_a_standard_one()
    {
        using StateWriter writer = new(Stream.Null);
        writer.WriteDescriptor(7);
        Assert.Throws<StateException>(() => writer.HandOver(7));
        foreach (int wrong in (int[])[-1, 0, 2, int.MaxValue])
            Assert.Throws<StateException>(() => HandedOver.Copy(to => to.Write(wrong), from => from.ReadDescriptor("one")));
        Assert.Throws<StateException>(() => HandedOver.Copy(
            to =>
            {
                to.Write(9);
                to.Write(9);
            },
            from => (from.ReadDescriptor("one"), from.ReadDescriptor("another"))));
    }

    [Fact]
    public void The_gaps_of_a_set_are_all_that_is_not_in_it() => FsCheck.Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll(Arb.From(Gen.Choose(3, 700).ArrayOf()), numbers =>
        {
            DescriptorSet set = new();
            HashSet<int> added = [];
            foreach (int number in numbers) Assert.Equal(added.Add(number), set.TryAdd(number));
            HashSet<uint> missing = [.. Enumerable.Range(3, 1000).Select(number => (uint)number)];
            missing.ExceptWith(numbers.Select(number => (uint)number));
            List<uint> found = [];
            foreach ((uint first, uint last) in set.Gaps(3))
            {
                for (uint number = first; number <= Math.Min(last, 1002); number++) found.Add(number);
            }

            Assert.Equal(missing.Order(), found);
        }));

    private static void Write(StateWriter writer)
    {
        writer.Write(true);
        writer.WriteText("a text");
        writer.WriteBytes([1, 2, 3]);
        writer.Write(77L);
    }

    private static bool Read(StateReader reader)
    {
        bool flag = reader.ReadFlag();
        Assert.Equal("a text", reader.ReadName("a text"));
        Assert.Equal(3, reader.ReadBytes(3, "bytes").Length);
        Assert.Equal(77, reader.Read<long>());
        return flag;
    }
}
