"""What make_find_fixtures.py writes to golden.json of detection and segmentation: the reference's answers, and that they are decided by
a margin."""

import copy
from types import SimpleNamespace

import torch
from transformers.image_transforms import center_to_corners_format
from transformers.models.owlvit.modeling_owlvit import box_iou, generalized_box_iou

from find_steps import owl, upsampled
from make_fixtures import TAP_IMAGE, numbers, unit

MARGIN = 1e-4
TEMPLATES = ["{}", "a photo of {}", "{} on the grass."]
NAMES = ["a black cat", "two dogs", "the red bicycle", "a cup"]
# Boxes of no height that leave the picture: none overlaps with it, and the best generalized IoU is below zero.
NOWHERE = [3.0, 0.0, 20.0, -1000.0]


def rows(matrix):
    return [numbers(row) for row in matrix]


def between(x):
    """The mean distance between what unrelated pictures, or texts, give."""
    flat = x.flatten(1)
    i, j = torch.triu_indices(len(flat), len(flat), offset=1)
    return (flat[i] - flat[j]).norm(dim=-1).mean().item()


def texts_golden(reference, ids, projected):
    return [dict(text=text, ids=row.tolist(), projection=numbers(p), embedding=numbers(unit(p)))
            for text, row, p in zip(reference.texts, ids, projected)]


def gap(scores):
    """A threshold that keeps some tokens, between a quarter and three quarters of them, as far from all scores as can be."""
    best, every = scores.max(-1).values.sort().values, scores.flatten()
    middle = best[len(best) // 4: len(best) * 3 // 4 + 1]
    between_two = (middle[1:] + middle[:-1]) / 2
    nearest = (between_two[:, None] - every).abs().min(-1).values
    threshold = round(between_two[nearest.argmax()].item(), 5)
    assert (every - threshold).abs().min() > MARGIN, "a score at the threshold"
    return threshold


def suppression(processor, logits, boxes, size, threshold):
    """The tokens that the reference's non-maximum suppression leaves; nothing is as near to the threshold as rounding could move it."""
    scores, corners = logits.max(-1).values.sigmoid(), center_to_corners_format(boxes)
    kept = scores > threshold
    overlap = box_iou(corners[kept], corners[kept])[0].triu(1)
    assert scores.sort().values.diff().min() > 1e-6 and threshold > 0.1 * scores.max()
    for iou in (0.3, 0.25, 0.2, 0.15, 0.35, 0.1, 0.05):
        outputs = SimpleNamespace(logits=logits[None], target_pred_boxes=boxes[None])
        [found] = processor.post_process_image_guided_detection(outputs, threshold, iou, torch.tensor([size[::-1]]))
        [whole] = processor.post_process_image_guided_detection(outputs, threshold, 1.0, torch.tensor([size[::-1]]))
        places = {tuple(box): token for box, token in zip(whole["boxes"].tolist(), kept.nonzero()[:, 0].tolist())}
        tokens = [places[tuple(box)] for box in found["boxes"].tolist()]
        assert len(places) == len(whole["boxes"]) == kept.sum()
        if len(tokens) < kept.sum() and (overlap - iou).abs().min() > MARGIN:
            return dict(iou=iou, tokens=tokens)
    return None


def detections(reference, images, logits, boxes):
    """What the reference's post-processing keeps of four labels, in pixels of the picture: [left, top, right, bottom]."""
    found = []
    for image, all_logits, cxcywh in zip(images, logits, boxes):
        variety = lambda start: len(all_logits[:, start:start + 4].argmax(-1).unique())
        start = max(range(len(reference.texts) - 3), key=variety)
        size, few, labels = images[image].size, all_logits[:, start:start + 4], reference.texts[start:start + 4]
        threshold = gap(few.sigmoid())
        outputs = SimpleNamespace(logits=few[None], pred_boxes=cxcywh[None])
        [kept] = reference.processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=[size[::-1]])
        tokens = (few.max(-1).values.sigmoid() > threshold).nonzero()[:, 0].tolist()
        best, second = few[tokens].topk(2).values.unbind(-1)
        assert len(tokens) > 1 and (best - second).min() > MARGIN, f"{image}: two labels at once"
        every = [[token, label] for token, label in (few.sigmoid() > threshold).nonzero().tolist()]
        found.append(dict(
            image=image, width=size[0], height=size[1], labels=labels, threshold=threshold,
            found=[dict(token=token, label=label, score=score, box=numbers(box)) for token, label, score, box in
                   zip(tokens, kept["labels"].tolist(), numbers(kept["scores"]), kept["boxes"])],
            multi_label=every, nms=suppression(reference.processor, few, cxcywh, size, threshold)))
    assert sum(one["nms"] is not None for one in found) > 1 and any(len(o["multi_label"]) > len(o["found"]) for o in found)
    return found


def templates(reference, pixels):
    """The reference's logits over several templates, averaged, as scenic does; the mean of unit queries gives the same, if it is not
    brought to unit length again."""
    ids = reference.ids([template.format(name) for name in NAMES for template in TEMPLATES])
    logits = reference.model(input_ids=ids, pixel_values=pixels).logits[0]
    logits = logits.view(len(logits), len(NAMES), len(TEMPLATES)).mean(-1)
    queries = unit(reference.projected(ids)).view(len(NAMES), len(TEMPLATES), -1).mean(1)
    same = owl(reference.model, reference.states(pixels)[-1], queries, query_norm=lambda q: q)["logits"][0]
    assert torch.allclose(same, logits, atol=2e-5), (same - logits).abs().max()
    again = owl(reference.model, reference.states(pixels)[-1], queries)["logits"][0]
    assert (again - logits).abs().max() > 0.05
    return dict(image=TAP_IMAGE, templates=TEMPLATES, names=NAMES, queries=rows(queries), logits=rows(logits))


def query_of(model, pixels):
    """The token whose class embedding stands for a picture, that embedding, and among how many it was chosen; nothing where rounding
    could choose another. Where the reference's OWL-ViT finds none, the token that scenic finds."""
    features = model.image_embedder(pixel_values=pixels)[0]
    flat = features.flatten(1, 2)
    _, index, boxes = model.embed_image_query(flat, features)
    embeds = model.class_head.dense0(flat)[0]
    if hasattr(model, "objectness_head"):
        best, second = model.objectness_predictor(flat)[0].topk(2).values
        return (index.item(), embeds[index.item()], len(embeds)) if best - second > MARGIN else None
    whole, corners = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), center_to_corners_format(boxes)[0]
    overlap = box_iou(whole, corners)[0][0]
    overlap = generalized_box_iou(whole, corners)[0] if (overlap == 0).all() else overlap
    least = overlap.max() * (0.8 if overlap.max() > 0 else 1.2)
    chosen = (overlap >= least).nonzero()[:, 0]
    likeness = embeds[chosen] @ embeds.mean(0)
    token = chosen[likeness.argmin()].item()
    assert (index is None) if overlap.max() < 0 else index.item() == token
    decided = (overlap - least).abs().min() > MARGIN and (likeness.sort().values.diff()[:1] > MARGIN).all()
    return (token, embeds[token], len(chosen)) if decided else None


def guided(reference, images, pixels):
    """Image-guided detection's raw output: logits and boxes for the token that stands for the query picture."""
    model, found, names = reference.model, [], list(images)
    of = dict(zip(images, pixels[:, None]))
    for at, query in enumerate(names):
        target = names[at - 1]
        if not (choice := query_of(model, of[query])):
            continue
        token, embed, among = choice
        out = model.image_guided_detection(pixel_values=of[target], query_pixel_values=of[query])
        found.append(dict(query=query, target=target, token=token, among=among, class_embed=numbers(embed),
                          logits=numbers(out.logits[0, :, 0]), boxes=rows(out.target_pred_boxes[0])))
    assert len(found) > 3 and sum(one["among"] > 1 for one in found) > 1, [one["among"] for one in found]
    return found


def guided_nowhere(reference, images, pixels):
    """As above where no box overlaps with the picture. The reference has logits of zeros then; these are those of scenic's token."""
    model, of, query, target = reference.model, dict(zip(images, pixels[:, None])), TAP_IMAGE, "tall-23x97.png"
    bias = model.box_head.dense2.bias
    kept = bias.clone()
    bias.copy_(torch.tensor(NOWHERE))
    token, embed, among = query_of(model, of[query])
    out = model.image_guided_detection(pixel_values=of[target], query_pixel_values=of[query])
    assert among > 1 and out.logits.shape[-1] == model.config.vision_config.hidden_size and not out.logits.any()
    logits = model.class_head(out.image_embeds.flatten(1, 2), embed[None, None], None)[0][0, :, 0]
    bias.copy_(kept)
    return dict(query=query, target=target, box_bias=NOWHERE, token=token, among=among, class_embed=numbers(embed),
                logits=numbers(logits))


def smaller(reference, images, side):
    """The same weights at a smaller canvas, with the top left part of the positions."""
    config = copy.deepcopy(reference.model.config)
    n, k = (s // config.vision_config.patch_size for s in (config.vision_config.image_size, side))
    config.vision_config.image_size = side
    model = type(reference.model)._from_config(config, attn_implementation="eager").eval()
    state = dict(reference.model.state_dict())
    name = f"{model.base_model_prefix}.vision_model.embeddings.position_embedding.weight"
    table = state[name]
    state[name] = torch.cat([table[:1], table[1:].view(n, n, -1)[:k, :k].flatten(0, 1)])
    model.load_state_dict(state)
    pixels = reference.pixels(list(images.values()), size=dict(height=side, width=side))
    ids = reference.ids(reference.texts)
    out = model(input_ids=ids.repeat(len(pixels), 1), pixel_values=pixels)
    interpolated = reference.model(input_ids=ids.repeat(len(pixels), 1), pixel_values=pixels, interpolate_pos_encoding=True)
    assert (out.logits - interpolated.logits).abs().mean() > 0.05, "interpolated positions would go unnoticed"
    return dict(side=side, images=answers(images, out))


def answers(images, out):
    found = {name: dict(logits=rows(logits), boxes=rows(boxes)) for name, logits, boxes in zip(images, out.logits, out.pred_boxes)}
    if out.get("objectness_logits") is not None:
        for name, objectness in zip(images, out.objectness_logits):
            found[name]["objectness"] = numbers(objectness)
    return found


def owl_golden(reference, images, pixels, ids):
    model, projected = reference.model, reference.projected(ids)
    out = model(input_ids=ids.repeat(len(pixels), 1), pixel_values=pixels)
    steps = owl(model, reference.states(pixels)[-1], unit(projected))
    pairs = [(steps["logits"], out.logits), (steps["boxes"], out.pred_boxes)]
    distance = dict(logits=between(out.logits), boxes=between(out.pred_boxes), text=between(unit(projected)))
    if "objectness" in steps:
        pairs.append((steps["objectness"], out.objectness_logits))
        distance["objectness"] = between(out.objectness_logits)
    assert all(torch.allclose(a, b, atol=2e-5, rtol=0) for a, b in pairs), [(a - b).abs().max() for a, b in pairs]
    by_query = between(out.logits.transpose(0, 2)) / distance["logits"]
    print(f"{reference.spec['model'].__name__}: distances {distance}; queries against pictures {by_query:.2f}; "
          f"logits {out.logits.min():.1f} to {out.logits.max():.1f}, scale {steps['scale'].min():.2f} to {steps['scale'].max():.2f}")
    golden = dict(images=answers(images, out), texts=texts_golden(reference, ids, projected), unrelated_distance=distance)
    if "canvas" in reference.spec:
        few = {name: images[name] for name in (TAP_IMAGE, "tall-23x97.png")}
        golden["canvas"] = smaller(reference, few, reference.spec["canvas"])
    if len(reference.texts) > 5:
        first = list(images).index(TAP_IMAGE)
        golden |= dict(detections=detections(reference, images, out.logits, out.pred_boxes),
                       templates=templates(reference, pixels[first:first + 1]), guided=guided(reference, images, pixels))
        if "objectness" not in steps:
            golden["guided_nowhere"] = guided_nowhere(reference, images, pixels)
    return golden


def sample(mask):
    """Every (1 + height / 10, made odd)th row, and of it every (1 + width / 10, made odd)th column, from the first ones."""
    down, across = ((1 + n // 10) | 1 for n in mask.shape[-2:])
    return rows(mask[..., ::down, ::across].flatten(-2))


def decided(logits):
    """How many pixels are over a threshold, and the first and last columns and rows with one; no pixel is near it."""
    scores = logits.sigmoid()
    for threshold in (0.4, 0.5, 0.3, 0.45, 0.35, 0.55, 0.25, 0.6, 0.65):
        over = scores > threshold
        if (scores - threshold).abs().min() > 1e-5 and over.flatten(1).any(1).all():
            masks = [dict(area=int(mask.sum()), bounds=[f(mask.any(axis).nonzero()).item() for axis in (0, 1) for f in (min, max)])
                     for mask in over]
            return dict(threshold=threshold, masks=masks)
    return None


def masks_golden(reference, images, pixels, ids):
    model, projected = reference.model, reference.projected(ids)
    prompts = reference.ids(reference.texts[:3])
    found, all_logits = {}, []
    for name, one in zip(images, pixels):
        out = model(input_ids=prompts, pixel_values=one.expand(3, -1, -1, -1))
        enlarged = upsampled(out.logits, *images[name].size)
        found[name] = dict(logits=sample(out.logits), upsampled=sample(enlarged), decided=decided(enlarged))
        all_logits.append(out.logits)
    logits = torch.stack(all_logits)
    assert sum(one["decided"] is not None for one in found.values()) > 2
    # A picture in the place of words: one run of the same tower.
    example, target = list(images)[1], list(images)[0]
    as_prompt = dict(zip(images, pixels[:, None]))
    out = model(pixel_values=as_prompt[target], conditional_pixel_values=as_prompt[example])
    guided = dict(prompt=example, image=target, condition=numbers(out.conditional_embeddings[0]), logits=sample(out.logits))
    distance = dict(logits=between(logits), condition=between(projected), text=between(unit(projected)))
    by_prompt = between(logits.transpose(0, 1)) / distance["logits"]
    print(f"{reference.spec['side']}: distances {distance}; prompts against pictures {by_prompt:.2f}; "
          f"logits {logits.min():.1f} to {logits.max():.1f}")
    return dict(images=found, prompts=reference.texts[:3], texts=texts_golden(reference, ids, projected), unrelated_distance=distance,
                guided=guided)
