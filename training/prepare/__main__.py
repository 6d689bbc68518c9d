"""``python -m training.prepare coco|pets|camvid|folder ROOT --out DIR``: makes a set to train on."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands import command
from training.prepare import camvid, coco, folder, pets
from training.prepare.writer import BAD_SHARE, SIDE, SetWriter


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    own = argparse.ArgumentParser(prog="python -m training.prepare", description=__doc__)
    parts = own.add_subparsers(dest="what", required=True)
    for name, module in (("coco", coco), ("pets", pets), ("camvid", camvid), ("folder", folder)):
        text = module.__doc__ or ""
        part = parts.add_parser(name, help=text.split("\n")[0], description=text,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
        part.add_argument("root", type=Path, help="the originals' folder (with --download: where to)")
        part.add_argument("--out", type=Path, required=True, help="folder of the new set")
        part.add_argument("--side", type=int, default=480 if name == "camvid" else SIDE,
                          help="longest side of the pictures kept, pixels (default: %(default)s)")
        part.add_argument("--bad-share", type=float, default=BAD_SHARE,
                          help="share of the pictures that may be bad (default: %(default)s)")
        if name in ("coco", "pets"):
            part.add_argument("--download", action="store_true", help="load and unpack what is not there yet")
            part.add_argument("--seed", type=int, default=1)
    own_coco, own_pets = parts.choices["coco"], parts.choices["pets"]
    own_coco.add_argument("--year", type=int, choices=tuple(coco.FILES), default=2017)
    own_coco.add_argument("--train", type=int, help="so many train pictures, exactly (default: all)")
    own_coco.add_argument("--val", type=int, help="so many val pictures, exactly (default: all)")
    own_coco.add_argument("--least", type=float, default=0.02,
                          help="share of the picture that its persons must cover (default: %(default)s)")
    own_coco.add_argument("--backgrounds", type=int, default=0,
                          help="so many train pictures with nobody in them")
    own_pets.add_argument("--as", dest="form", choices=("classes", "matte"), default="classes",
                          help="three classes, or a matte of the pet with the border unknown")
    own_pets.add_argument("--val", type=float, default=0.1, help="share of trainval (default: %(default)s)")
    return own


@command
def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    writer = SetWriter(args.out, args.side, args.bad_share)
    if args.what == "coco":
        if args.download:
            coco.download(args.root, args.year)
        coco.prepare(args.root, writer, args.year, {"train": args.train, "val": args.val}, args.seed,
                     args.least, args.backgrounds)
    elif args.what == "pets":
        if args.download:
            pets.download(args.root)
        pets.prepare(args.root, writer, args.form == "classes", args.val, args.seed)
    elif args.what == "camvid":
        camvid.prepare(args.root, writer)
    else:
        folder.prepare(args.root, writer)
    writer.finish()


if __name__ == "__main__":
    main()
